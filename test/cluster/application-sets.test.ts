import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { holdOf } from '../../src/cluster/hold.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { scratch } from '../runbook/harness.ts'

const example = fileURLToPath(new URL('../../examples/home', import.meta.url))

/** The example with an ApplicationSet in the place of all its Applications. */
function withSet(spec: string): string {
  const home = scratch('sets')
  cpSync(example, home, { recursive: true })
  rmSync(join(home, 'argocd'), { recursive: true })
  mkdirSync(join(home, 'argocd'))
  writeFileSync(
    join(home, 'argocd', 'set.yaml'),
    `apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: { name: all }\nspec:\n${spec.replace(/^/gm, '  ')}\n`,
  )
  return join(home, 'recover.yaml')
}

const template = (name: string, path: string) => `template:
  metadata: { name: "${name}" }
  spec:
    project: default
    source: { repoURL: https://git.example.net/you/home.git, path: "${path}" }
    destination: { server: https://kubernetes.default.svc, namespace: "${name}" }
`

const all = ['grafana', 'miniflux', 'photos', 'scratch', 'synology-csi']

test.each([
  {
    language: 'the first template language',
    spec: `generators: [{ git: { directories: [{ path: applications/* }] } }]\n${template('{{path.basename}}', '{{path}}')}`,
    names: all,
  },
  {
    language: 'Go templates, with an exclusion',
    spec: `goTemplate: true\ngenerators: [{ git: { directories: [{ path: applications/* }, { path: applications/scratch, exclude: true }] } }]\n${template('{{ .path.basename }}', '{{ index .path.segments 0 }}/{{.path.basename}}')}`,
    names: all.filter(name => name !== 'scratch'),
  },
  {
    language: 'a list',
    spec: `generators: [{ list: { elements: [{ app: photos }, { app: grafana }] } }]\n${template('{{app}}', 'applications/{{app}}')}`,
    names: ['grafana', 'photos'],
  },
])('an ApplicationSet is foreseen: $language', ({ spec, names }) => {
  const cluster = loadCluster(withSet(spec), {})
  expect(cluster.applications.map(a => a.name)).toEqual(names)
  expect(cluster.applicationSets).toMatchObject([{ metadata: { name: 'all', namespace: 'argocd' } }])
  const photos = cluster.applications.find(a => a.name === 'photos')!
  expect(photos).toMatchObject({
    path: 'applications/photos',
    namespace: 'argocd',
    owned: [{ claim: 'photos/library', by: 'Deployment photos/photos' }],
  })
  expect(holdOf(photos).held).toBe(true)
  const csi = cluster.applications.find(a => a.name === 'synology-csi')
  if (csi) expect([holdOf(csi).held, csi.storage]).toEqual([false, true])
})

test('what cannot be foreseen is left to the set, which comes last', () => {
  for (const spec of [
    `generators: [{ clusters: {} }]\n${template('{{name}}', 'applications/photos')}`,
    `goTemplate: true\ngenerators: [{ git: { directories: [{ path: applications/* }] } }]\n${template('{{ .path.basename | upper }}', '{{.path.path}}')}`,
  ]) {
    const cluster = loadCluster(withSet(spec), {})
    expect(cluster.applications).toEqual([])
    expect(cluster.applicationSets).toHaveLength(1)
  }
})

test('a changed set changes the hash', () => {
  const file = withSet(`generators: []\n${template('a', 'b')}`)
  const before = loadCluster(file, {}).hash
  const set = join(file, '../argocd/set.yaml')
  writeFileSync(set, readFileSync(set, 'utf8').replace('project: default', 'project: other'))
  expect(loadCluster(file, {}).hash).not.toBe(before)
})
