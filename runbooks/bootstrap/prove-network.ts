import { z } from 'zod'
import type { Cluster } from '../../src/cluster/load.ts'
import {
  type KubernetesObject,
  type KubernetesReader,
  refOf,
  showRef,
} from '../../src/kubernetes/kubernetes.ts'
import { networkProbeJob, probeJob } from '../../src/kubernetes/network-probe.ts'
import { troubleOf } from '../../src/kubernetes/pods.ts'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { jobState, runJob } from '../../src/volumes/jobs.ts'
import { step } from '../kit.ts'
import { hostOfNode } from '../kubernetes/host-of-node.ts'
import { nodesReady } from './nodes-ready.ts'

const ciliumNode = { apiVersion: 'cilium.io/v2', kind: 'CiliumNode' } as const
const job = { apiVersion: 'batch/v1', kind: 'Job', ...probeJob } as const

/**
 * Pods reach names and services: Cilium knows exactly the nodes that there are, the cluster's DNS is up, and a pod asks
 * it for a name and reaches the Service behind it. Where the pod's image cannot be had, that is said and nothing proven.
 */
export const proveNetwork = step({
  id: 'bootstrap/prove-network',
  title: 'Prove the pods’ network',
  byHand:
    '`kubectl get ciliumnodes` lists the nodes and no others; `kubectl run -it --rm probe --image=alpine -- nslookup kubernetes.default` answers.',
  needs: [nodesReady],
  danger: 'changes',
  bounds: { expected: '30s', limit: '15m' },
  retry: { times: 3, delay: '5s' },
  holdsUntil: 'proof/tidy-up',
  uses: () => ['api'],
  output: z.strictObject({ proven: z.boolean(), says: z.string() }),
  async observe({ cluster, kubernetes }) {
    const { stale, missing } = await ciliumNodes(cluster, kubernetes)
    const dns = await dnsLacks(kubernetes)
    const open = [
      ...stale.map(n => `delete the CiliumNode ${n.metadata.name}: there is no node of that name`),
      ...missing.map(n => `wait for Cilium to know the node ${n}`),
      ...(dns === undefined ? [] : [`wait for the cluster’s DNS: ${dns}`]),
    ]
    if (open.length > 0) return due(...open)
    const state = await jobState(kubernetes, probeJob.namespace, probeJob.name)
    if (state.state === 'complete' && state.message !== '')
      return done({ proven: true, says: state.message }, `from a pod, ${state.message}`)
    if (state.state === 'complete')
      return done(
        { proven: false, says: '' },
        'the network could not be proven by a pod, which ended without a word',
      )
    const image = state.state === 'running' ? await imageTrouble(kubernetes) : undefined
    if (image !== undefined)
      return done(
        { proven: false, says: image },
        `the network could not be proven by a pod, whose image is not to be had: ${image}`,
      )
    return due(
      state.state === 'running'
        ? `wait for the network probe: ${state.why}`
        : 'run a pod that asks for a name and reaches a Service',
    )
  },
  async apply({ cluster, kubernetes, note, wait }) {
    const { stale } = await ciliumNodes(cluster, kubernetes)
    for (const node of stale) {
      note(`The CiliumNode ${node.metadata.name} is of a node that is no more; it is deleted`)
      await kubernetes.remove(refOf(node), node.metadata.uid ?? '')
    }
    await wait('Cilium to know every node', async () =>
      (await ciliumNodes(cluster, kubernetes)).missing.length === 0 ? true : undefined,
    )
    await wait('the cluster’s DNS to be up', async () =>
      (await dnsLacks(kubernetes)) === undefined ? true : undefined,
    )
    try {
      await runJob(
        kubernetes,
        networkProbeJob(cluster.jobImage),
        (what, probe) =>
          wait(what, async () => {
            const state = await probe()
            // An image that is not to be had would be waited for until the end; it says nothing of the network.
            const image = state === undefined ? await imageTrouble(kubernetes) : undefined
            return state ?? (image === undefined ? undefined : { state: 'complete', message: image })
          }),
        'a pod to ask for a name and to reach a Service',
      )
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'job-failed') throw thrown
      throw new Fault({
        code: 'network-probe-failed',
        blame: 'host',
        message: `pods do not reach what they should: ${thrown.message}`,
        remedy:
          'Look at Cilium (kubectl -n kube-system exec ds/cilium -- cilium-dbg status --brief) and at CoreDNS; then run `recover resume`',
        cause: thrown,
        transient: true,
      })
    }
  },
})

/** CiliumNodes without a node, and machines’ nodes without a CiliumNode; neither where Cilium is not the network. */
async function ciliumNodes(
  cluster: Cluster,
  kubernetes: KubernetesReader,
): Promise<{ stale: KubernetesObject[]; missing: string[] }> {
  if (!(await kubernetes.serves(ciliumNode))) return { stale: [], missing: [] }
  // The nodes are listed last: one that joins between the two looks is not taken for gone.
  const known = await kubernetes.list(ciliumNode)
  const nodes = await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })
  // Without any node nobody can tell which of them are gone.
  if (nodes.length === 0) return { stale: [], missing: [] }
  return {
    stale: known.filter(n => !nodes.some(node => node.metadata.name === n.metadata.name)),
    missing: nodes
      .filter(node => hostOfNode(cluster, node))
      .map(node => node.metadata.name ?? '')
      .filter(name => !known.some(n => n.metadata.name === name)),
  }
}

/** What the cluster's DNS lacks; nothing where none goes by the label that all of them bear. */
async function dnsLacks(kubernetes: KubernetesReader): Promise<string | undefined> {
  const all = await kubernetes.list({ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'kube-system' })
  for (const dns of all.filter(d => d.metadata.labels?.['k8s-app'] === 'kube-dns')) {
    const lack = lacks(dns)
    if (lack !== undefined) return `${showRef(refOf(dns))}: ${lack}`
  }
  return undefined
}

async function imageTrouble(kubernetes: KubernetesReader): Promise<string | undefined> {
  const { spec } = networkProbeJob('')
  const { template } = spec as { template: { metadata: { labels: Record<string, string> } } }
  const pods = { ...job, metadata: probeJob, spec: { selector: { matchLabels: template.metadata.labels } } }
  const trouble = await troubleOf(kubernetes, pods)
  return trouble && /ImagePull|ErrImage|InvalidImageName/.test(trouble) ? trouble : undefined
}

/** The probe’s Job, for whoever tidies up. */
export const networkProbeRef = job
