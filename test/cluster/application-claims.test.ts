import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { claimsOutOfNowhere } from '../../src/cluster/application-claims.ts'
import { type Cluster, loadCluster } from '../../src/cluster/load.ts'
import { root } from '../cli/program.ts'

/** The example with one more application, in a folder of these files. */
function withApplication(
  test: { onTestFinished(end: () => void): void },
  destination: string,
  files: Record<string, string>,
): Cluster {
  const home = mkdtempSync(join(tmpdir(), 'recover-claims-'))
  test.onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  cpSync(join(root, 'examples/home'), home, { recursive: true })
  mkdirSync(join(home, 'applications/wiki'), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, 'applications/wiki', name), text)
  const grafana = readFileSync(join(home, 'argocd/grafana.yaml'), 'utf8')
  writeFileSync(
    join(home, 'argocd/wiki.yaml'),
    grafana
      .replaceAll('applications/grafana', 'applications/wiki')
      .replaceAll(': grafana', ': wiki')
      .replace(/namespace: wiki/, `namespace: ${destination}`),
  )
  return loadCluster(join(home, 'recover.yaml'))
}

const claim = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: pages }
spec: { accessModes: [ReadWriteOnce], storageClassName: synology-iscsi, resources: { requests: { storage: 3Gi } } }
`
const pods = (mounts: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: wiki }
spec:
  selector: { matchLabels: { app: wiki } }
  template:
    metadata: { labels: { app: wiki } }
    spec:
      containers: [{ name: wiki, image: wiki }]
      volumes: [{ name: pages, persistentVolumeClaim: { claimName: ${mounts} } }]
`

test('what names no namespace comes to where its Application goes, and so do its claims', context => {
  const cluster = withApplication(context, 'knowledge', {
    'kustomization.yaml': 'resources: [claim.yaml, pods.yaml]\n',
    'claim.yaml': claim,
    'pods.yaml': pods('pages'),
  })
  expect(cluster.inventory.claims.filter(c => c.name === 'pages')).toMatchObject([
    { id: 'knowledge/pages', sizeBytes: 3 * 2 ** 30, owners: ['Deployment knowledge/wiki'] },
  ])
  expect(cluster.applications.find(a => a.name === 'wiki')?.owned).toEqual([
    { claim: 'knowledge/pages', by: 'Deployment knowledge/wiki' },
  ])
  expect(claimsOutOfNowhere(cluster.inventory.claims, cluster.applications)).toEqual([])
})

test('claims in a plain folder are claims, too', context => {
  const cluster = withApplication(context, 'knowledge', { 'claim.yaml': claim, 'pods.yaml': pods('pages') })
  expect(cluster.inventory.claims.map(c => c.id)).toContain('knowledge/pages')
})

test('a claim that is mounted and made by nothing is named with who mounts it, and may be said to be new', context => {
  const cluster = withApplication(context, 'knowledge', { 'pods.yaml': pods('lost') })
  expect(claimsOutOfNowhere(cluster.inventory.claims, cluster.applications)).toEqual([
    { claim: 'knowledge/lost', by: 'Deployment knowledge/wiki' },
  ])
  const text = readFileSync(cluster.file, 'utf8')
  expect(text).toContain('\nvolumes:\n')
  writeFileSync(cluster.file, text.replace('\nvolumes:\n', '\nvolumes:\n  knowledge/lost: new\n'))
  expect(loadCluster(cluster.file).strategy('knowledge/lost')).toBe('new')
  appendFileSync(cluster.file, 'luns: { knowledge/losst: 00000000-0000-4000-8000-000000000000 }\n')
  expect(() => loadCluster(cluster.file)).toThrow(/did you mean knowledge\/lost/)
})
