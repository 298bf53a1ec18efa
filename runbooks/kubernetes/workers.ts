import { z } from 'zod'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { done, due } from '../../src/runbook/step.ts'
import { whichClusterItWas } from '../evidence/former-cluster.ts'
import { type Readers, step } from '../kit.ts'
import { applyK0s } from './apply-k0s.ts'
import { hostOfNode } from './host-of-node.ts'
import { fetchAccess } from './kubeconfig.ts'
import { hostsIn, lookAtK0s, whatKeptThemOut } from './look-at-k0s.ts'
import { refuseOtherCluster } from './other-cluster.ts'
import { restoreControlPlane } from './restore.ts'

/** Every machine is a node. Not Ready yet: there is no network before Cilium. */
export const joinWorkers = step({
  id: 'kubernetes/workers',
  title: 'Join the workers',
  byHand: '`k0sctl apply --no-wait` with all hosts; `kubectl get nodes` lists them, NotReady.',
  needs: [fetchAccess, restoreControlPlane, whichClusterItWas],
  danger: 'changes',
  bounds: { expected: '1m', limit: '45m' },
  retry: { times: 3, delay: '5s' },
  uses: () => ['k0sctl'],
  output: z.strictObject({ nodes: z.array(z.string()) }),
  async observe(look) {
    const { kubernetes, output, outputs } = look
    const system = await kubernetes.get({ apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' })
    const { clusterUid } = output(fetchAccess)
    refuseOtherCluster(clusterUid, system?.metadata.uid, output(whichClusterItWas).clusters)
    const restored = outputs(restoreControlPlane).size > 0
    const { nodes, missing } = await membersOf(look, restored)
    return missing.length === 0
      ? done({ nodes }, `${nodes.join(' and ')} are nodes of the cluster`)
      : due(`join ${missing.join(' and ')}`)
  },
  async apply(act) {
    const { output, outputs, wait } = act
    // Workers join whom the controllers hand out tokens for.
    for (const { k0s } of await lookAtK0s(act, hostsIn(act.cluster, 'controllers')))
      refuseOtherCluster(output(fetchAccess).clusterUid, k0s.clusterUid, output(whichClusterItWas).clusters)
    try {
      await applyK0s('all', act)
    } catch (thrown) {
      throw await whatKeptThemOut(thrown, act.kubernetes)
    }
    const restored = outputs(restoreControlPlane).size > 0
    await wait('every machine to register as a node', async () => {
      if (!(await act.kubernetes.ready()).ready) return undefined
      return (await membersOf(act, restored)).missing.length === 0 || undefined
    })
  },
})

/**
 * Machines of k0sctl.yaml that are nodes, and those that are not. In a restored cluster a node is there before its machine
 * is: it counts from when its kubelet has told the boot that the machine is in.
 */
async function membersOf(
  {
    cluster,
    hosts,
    kubernetes,
    signal,
  }: Pick<Readers, 'cluster' | 'hosts' | 'kubernetes'> & { signal: AbortSignal },
  restored: boolean,
): Promise<{ nodes: string[]; missing: string[] }> {
  const wanted = cluster.k0sctl.hosts.filter(h => h.role !== 'controller').map(h => h.name)
  const found = new Map<string, KubernetesObject>()
  for (const node of await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })) {
    const host = hostOfNode(cluster, node)?.name
    if (host === undefined || !wanted.includes(host)) continue
    if (restored && bootOf(node) !== (await hosts.ours(host, signal, h => h.facts(signal))).bootId) continue
    found.set(host, node)
  }
  return {
    nodes: [...found.values()].map(n => n.metadata.name ?? ''),
    missing: wanted.filter(name => !found.has(name)),
  }
}

function bootOf({ status }: KubernetesObject): string | undefined {
  return (status as { nodeInfo?: { bootID?: string } } | undefined)?.nodeInfo?.bootID
}
