import { z } from 'zod'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** Which cluster answers, and that it is the one of recover.yaml. A kubeconfig's current context is changed in a moment. */
export const findCluster = step({
  id: 'preflight/find-cluster',
  title: 'Find out which cluster answers',
  byHand:
    '`kubectl config current-context`; `kubectl get nodes -o wide`: its nodes must be the machines of k0sctl.yaml.',
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 3, delay: '2s' },
  uses: () => ['api'],
  output: z.strictObject({ clusterUid: z.string(), server: z.string(), context: z.string() }),
  async observe({ cluster, kubernetes, clusterAccess }) {
    const { server, context } = await clusterAccess()
    const { ready, why } = await kubernetes.ready()
    if (!ready)
      return blocked(
        'cluster-not-living',
        `the cluster at ${server} (context ${context}) does not say that it is ready: ${why}`,
        'Volumes are moved in a living cluster; for one that is dead there is `recover cluster --from-scratch`',
      )
    const system = await kubernetes.get({ apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' })
    const nodes = (await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })).map(({ metadata, status }) => ({
      name: metadata.name ?? '',
      addresses: ((status as { addresses?: { address: string }[] } | undefined)?.addresses ?? []).map(
        a => a.address,
      ),
    }))
    const machines = new Set(
      cluster.k0sctl.hosts.flatMap(h => [h.name, h.address, cluster.entry.hosts[h.name]?.address ?? h.name]),
    )
    const ours = nodes.filter(n => machines.has(n.name) || n.addresses.some(a => machines.has(a)))
    const known = nodes.map(n => n.name).join(', ')
    if (ours.length === 0)
      return blocked(
        'cluster-not-this-one',
        `the cluster at ${server} (context ${context}) has the nodes ${known || '(none)'}, and none of them is a machine of k0sctl.yaml; nothing was changed in it`,
        'Name the kubeconfig of this home’s cluster with --kubeconfig, and its context with --context',
      )
    const clusterUid = system?.metadata.uid ?? ''
    return done(
      { clusterUid, server, context },
      `${server} (context ${context}) is the cluster ${clusterUid} with the nodes ${known}`,
    )
  },
})
