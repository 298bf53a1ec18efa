import { z } from 'zod'
import { hashOf } from '../../src/kubernetes/render/kustomize.ts'
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
  output: z.strictObject({ objects: z.number(), parts: z.record(z.string(), z.string()) }),
  async observe({ cluster, manifests, signal }) {
    const parts: Record<string, string> = {}
    let objects = 0
    for (const { name } of cluster.bootstrap) {
      const rendered = await manifests(name, signal)
      objects += rendered.length
      parts[name] = hashOf(rendered)
    }
    return done(
      { objects, parts },
      `${objects} objects in ${cluster.bootstrap.length} parts: ${Object.entries(parts)
        .map(([name, sha256]) => `${name} (sha256 ${sha256.slice(0, 12)})`)
        .join(', ')}`,
    )
  },
})
