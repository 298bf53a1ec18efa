import { afterEach, expect, test } from 'vitest'
import { connectExec, type PodCommand } from '../../../src/kubernetes/exec.ts'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import { type Cluster, eventually, startCluster } from './cluster.ts'

let cluster: Cluster
const never = new AbortController().signal
afterEach(() => cluster.close())

async function started() {
  cluster = await startCluster(b => {
    b.answers = [
      { namespace: 'default', command: ['pg_isready'], exit: 0, stdout: 'accepting connections\n' },
    ]
  })
  const deployment: KubernetesObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          hostNetwork: true,
          containers: [
            { name: 'web', image: 'x' },
            { name: 'sidecar', image: 'y' },
          ],
        },
      },
    },
  }
  await cluster.api.writer.apply(deployment)
  await eventually('the pod', async () => {
    const pod = await cluster.api.reader.get({
      apiVersion: 'v1',
      kind: 'Pod',
      namespace: 'default',
      name: 'web-0',
    })
    return (pod?.status as { phase?: string } | undefined)?.phase === 'Running'
  })
  const exec = connectExec({ kubeconfig: cluster.world.path('admin.kubeconfig') })
  const run = (command: string[], more: Partial<PodCommand> = {}) =>
    exec.run({ namespace: 'default', pod: 'web-0', command, ...more }, never)
  return { run, exec }
}

test('a command in a pod: its output, its exit code, what the blueprint knows, and every refusal by name', async () => {
  const { run, exec } = await started()
  expect(await run(['echo', 'all', 'is  well & quiet?'])).toEqual({
    exit: 0,
    stdout: 'all is  well & quiet?\n',
    stderr: '',
  })
  expect(await run(['false'], { container: 'sidecar' })).toEqual({ exit: 1, stdout: '', stderr: '' })
  expect(await run(['pg_isready'])).toMatchObject({ exit: 0, stdout: 'accepting connections\n' })
  await expect(run(['nmap'])).rejects.toMatchObject({
    code: 'exec-failed',
    message: expect.stringContaining('exec: "nmap": executable file not found in $PATH'),
  })
  const refusal = (more: Partial<PodCommand>) =>
    run(['true'], more).then(
      () => 'nothing',
      (fault: { code: string; message: string }) => `${fault.code}: ${fault.message}`,
    )
  expect(await refusal({ pod: 'web-1' })).toBe(
    'exec-refused: the cluster refused to run a command in the pod default/web-1 (404): pods "web-1" not found',
  )
  expect(await refusal({ container: 'wep' })).toBe(
    'exec-refused: the cluster refused to run a command in the pod default/web-0 (400): container wep is not valid for pod web-0',
  )
  const stopped = new AbortController()
  stopped.abort(new Error('stopped by the person'))
  await expect(
    exec.run({ namespace: 'default', pod: 'web-0', command: ['true'] }, stopped.signal),
  ).rejects.toThrow('stopped by the person')
  await exec.close()
})
