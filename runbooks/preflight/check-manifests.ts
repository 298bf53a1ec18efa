import { z } from 'zod'
import { done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** The bootstrap can be rendered now, from what is at hand: its charts may live behind what is being rebuilt. */
export const checkManifests = step({
  id: 'preflight/check-manifests',
  title: 'Check the bootstrap’s manifests',
  byHand:
    'Have the bootstrap’s manifests rendered, as files: `kustomize build --enable-helm bootstrap > bootstrap.yaml`.',
  danger: 'reads',
  bounds: { expected: '10s', limit: '10m' },
  output: z.strictObject({ objects: z.number() }),
  async observe({ cluster, manifests, signal }) {
    let objects = 0
    for (const { name } of cluster.bootstrap) objects += (await manifests(name, signal)).length
    return done(
      { objects },
      `${objects} objects in ${cluster.bootstrap.length} parts: ${cluster.bootstrap.map(p => p.name).join(', ')}`,
    )
  },
})
