import { z } from 'zod'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
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
  async observe({ kubernetes }) {
    const nodes = await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })
    const names = nodes.map(n => n.metadata.name ?? '')
    const waiting = nodes.flatMap(n => {
      const lack = lacks(n)
      return lack === undefined ? [] : [`${n.metadata.name}: ${lack}`]
    })
    return waiting.length === 0 && nodes.length > 0
      ? done({ nodes: names }, `${names.join(' and ')} are Ready`)
      : due(`wait for ${waiting.join(', ') || 'nodes'}`)
  },
  async settle({ kubernetes, wait }) {
    await wait('every node to be Ready', async () => {
      const nodes = await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })
      return (nodes.length > 0 && nodes.every(n => lacks(n) === undefined)) || undefined
    })
  },
})
