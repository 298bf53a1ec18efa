import { z } from 'zod'
import type { Cluster } from '../../src/cluster/load.ts'
import type { KubernetesObject, KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { hostOfNode } from '../kubernetes/host-of-node.ts'
import { applyPart } from './apply-part.ts'

/** A network runs on every node. */
export const nodesReady = step({
  id: 'bootstrap/nodes-ready',
  title: 'Wait for the nodes',
  byHand: '`kubectl wait --for=condition=Ready nodes --all --timeout=10m`.',
  needs: [applyPart],
  danger: 'reads',
  bounds: { expected: '30s', limit: '10m' },
  retry: { times: 4, delay: '3s' },
  output: z.strictObject({ nodes: z.array(z.string()) }),
  async observe({ cluster, kubernetes }) {
    const nodes = await nodesOf(cluster, kubernetes)
    const names = nodes.map(n => n.metadata.name ?? '')
    const waiting = nodes.flatMap(n => {
      const lack = lacks(n)
      return lack === undefined ? [] : [`${n.metadata.name}: ${lack}`]
    })
    return waiting.length === 0 && nodes.length > 0
      ? done({ nodes: names }, `${names.join(' and ')} are Ready`)
      : due(`wait for ${waiting.join(', ') || 'nodes'}`)
  },
  async settle({ cluster, kubernetes, wait }) {
    await wait('every node to be Ready', async () => {
      const nodes = await nodesOf(cluster, kubernetes)
      return (nodes.length > 0 && nodes.every(n => lacks(n) === undefined)) || undefined
    })
  },
})

/** What a restored cluster remembers besides has no machine, and never gets Ready. */
async function nodesOf(cluster: Cluster, kubernetes: KubernetesReader): Promise<KubernetesObject[]> {
  const nodes = await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })
  return nodes.filter(node => hostOfNode(cluster, node))
}
