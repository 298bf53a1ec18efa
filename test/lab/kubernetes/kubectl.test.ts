import { type SpawnSyncReturns, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { scratch } from '../../runbook/harness.ts'
import { type Cluster, startCluster } from './cluster.ts'

// The judge of whether this is a Kubernetes API: the client that everybody has.
const onPath = (process.env.PATH ?? '')
  .split(delimiter)
  .map(folder => join(folder, 'kubectl'))
  .find(existsSync)
const kubectl = process.env.RECOVER_TEST_KUBECTL ?? onPath
if (kubectl === undefined)
  process.stdout.write(
    'skipped: the lab’s API seen by kubectl: there is none on PATH and RECOVER_TEST_KUBECTL names none\n',
  )

const web = (image: string, env: Record<string, string>) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        hostNetwork: true,
        containers: [
          { name: 'web', image, env: Object.entries(env).map(([name, value]) => ({ name, value })) },
          { name: 'side', image: 'side:1' },
        ],
      },
    },
  },
})

describe.skipIf(kubectl === undefined)('kubectl', { timeout: 60_000 }, () => {
  let cluster: Cluster
  let folder: string
  beforeAll(async () => {
    cluster = await startCluster()
    folder = scratch('kubectl')
  })
  afterAll(() => cluster.close())

  type Ended = Pick<SpawnSyncReturns<string>, 'status' | 'stdout' | 'stderr'>
  // Not spawnSync: the lab answers in this very process.
  const begin = (...args: string[]) =>
    spawn(kubectl as string, args, {
      env: { PATH: process.env.PATH, HOME: folder, KUBECONFIG: cluster.kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 20_000,
    })
  const run = (...args: string[]): Promise<Ended> =>
    new Promise((resolve, reject) => {
      const child = begin(...args)
      let [stdout, stderr] = ['', '']
      child.stdout.on('data', chunk => {
        stdout += chunk
      })
      child.stderr.on('data', chunk => {
        stderr += chunk
      })
      child.on('error', reject)
      child.on('close', status => resolve({ status, stdout, stderr }))
    })
  /** Must succeed, and without a warning about anything but versions. */
  const must = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(...args)
    expect({ args, status, stderr: stderr.replace(/^warning: version difference.*\n/gim, '') }).toEqual({
      args,
      status: 0,
      stderr: '',
    })
    return stdout.trim()
  }
  const file = (name: string, ...objects: object[]): string => {
    const path = join(folder, name)
    writeFileSync(path, objects.map(o => stringify(o)).join('---\n'))
    return path
  }

  test('discovers what is served', async () => {
    expect(await must('version', '-o', 'json')).toContain('"gitVersion": "v1.34.2+k0s"')
    const kinds = await must('api-resources', '--no-headers')
    expect(kinds).toMatch(/^deployments +deploy +apps\/v1 +true +Deployment$/m)
    expect(kinds).not.toContain('/status')
    expect(await must('get', 'ns', '-o', 'name')).toBe(
      'namespace/default\nnamespace/kube-node-lease\nnamespace/kube-public\nnamespace/kube-system',
    )
  })

  test('applies on the client side: creates, leaves alone, changes and removes fields', async () => {
    const path = file('web.yaml', web('web:1', { A: '1', B: '2' }))
    expect(await must('apply', '-f', path)).toBe('deployment.apps/web created')
    expect(await must('apply', '-f', path)).toBe('deployment.apps/web unchanged')
    file('web.yaml', web('web:2', { A: '1' }))
    expect((await run('diff', '-f', path)).status).toBe(1)
    expect(await must('apply', '-f', path)).toBe('deployment.apps/web configured')
    const { spec } = JSON.parse(await must('get', 'deploy', 'web', '-o', 'json'))
    expect(spec.template.spec.containers).toEqual([
      { name: 'web', image: 'web:2', env: [{ name: 'A', value: '1' }] },
      { name: 'side', image: 'side:1' },
    ])
  })

  test('waits for conditions and rollouts', async () => {
    expect(await must('wait', '--for=condition=Available', 'deploy/web', '--timeout=10s')).toBe(
      'deployment.apps/web condition met',
    )
    expect(await must('rollout', 'status', 'deploy/web', '--timeout=10s')).toContain(
      'successfully rolled out',
    )
    expect(await must('get', 'all', '-o', 'name')).toBe('pod/web-0\ndeployment.apps/web')
    const never = await run('wait', '--for=condition=Ready', 'node/lithium', '--timeout=1s')
    expect(never).toMatchObject({ status: 1, stderr: expect.stringContaining('timed out waiting') })
  })

  test('applies on the server side: migrates, is refused, forces', async () => {
    const path = file('web.yaml', web('web:3', { A: '1' }))
    expect(await must('apply', '--server-side', '-f', path)).toBe('deployment.apps/web serverside-applied')
    const other = ['apply', '--server-side', '--field-manager=other', '-f', file('o.yaml', web('web:4', {}))]
    const refused = await run(...other)
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain('Apply failed with 1 conflict: conflict with "kubectl"')
    expect(refused.stderr).toContain('.spec.template.spec.containers[name="web"].image')
    await must(...other, '--force-conflicts')
    expect(await must('get', 'deploy', 'web', '-o', 'jsonpath={..image}')).toContain('web:4')
  })

  test('patches in three ways, labels, and selects', async () => {
    const conf = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'conf' }, data: { a: '1' } }
    await must('apply', '-f', file('conf.yaml', conf))
    await must('patch', 'cm', 'conf', '--type=merge', '-p', '{"data":{"b":"2"}}')
    await must('patch', 'cm', 'conf', '--type=json', '-p', '[{"op":"remove","path":"/data/a"}]')
    await must('patch', 'cm', 'conf', '-p', '{"data":{"c":"3"}}')
    await must('label', 'cm', 'conf', 'kind=test')
    await must('annotate', 'cm', 'conf', 'why=because')
    expect(await must('get', 'cm', '-l', 'kind in (test,other)', '-o', 'jsonpath={.items[*].data}')).toBe(
      '{"b":"2","c":"3"}',
    )
    expect(await must('get', 'cm', '--field-selector=metadata.name=conf', '-o', 'name')).toBe(
      'configmap/conf',
    )
  })

  test('--dry-run=server shows and changes nothing', async () => {
    const count = cluster.world.mutations.kubernetes
    const ghost = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ghost' } }
    await must('apply', '--dry-run=server', '-f', file('ghost.yaml', ghost))
    await must('delete', 'cm', 'conf', '--dry-run=server')
    expect(await must('get', 'cm', '-o', 'name')).toBe('configmap/conf\nconfigmap/kube-root-ca.crt')
    expect(cluster.world.mutations.kubernetes).toBe(count)
  })

  test('watches', async () => {
    const watching = begin('get', 'cm', '-w', '-o', 'name')
    let told = ''
    const says = (text: string) =>
      new Promise<void>((resolve, reject) => {
        watching.stdout.on('data', () => told.includes(text) && resolve())
        watching.on('close', () => reject(new Error(`kubectl ended and never said ${text}: ${told}`)))
      })
    watching.stdout.on('data', chunk => {
      told += chunk
    })
    await says('configmap/kube-root-ca.crt')
    const late = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'late' } }
    const isTold = says('configmap/late')
    await must('apply', '-f', file('late.yaml', late))
    await isTold
    watching.kill()
    expect(told).toBe('configmap/conf\nconfigmap/kube-root-ca.crt\nconfigmap/late\n')
  })

  test('deletes and waits until it is gone; errors are the server’s', async () => {
    await must('delete', 'cm', 'conf', 'late', '--timeout=10s')
    await must('delete', '-f', join(folder, 'web.yaml'), '--timeout=10s')
    expect((await run('get', 'deploy', 'web')).stderr).toContain(
      'Error from server (NotFound): deployments.apps "web" not found',
    )
    const widget = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' } }
    expect((await run('apply', '-f', file('w.yaml', widget))).stderr).toContain(
      'no matches for kind "Widget"',
    )
    const lost = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'nowhere' } }
    expect((await run('apply', '-f', file('x.yaml', lost))).stderr).toContain(
      'namespaces "nowhere" not found',
    )
  })
})
