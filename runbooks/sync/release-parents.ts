import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { heldByUs, letGo } from './hold.ts'
import { lookAtClaims } from './look-at-claims.ts'
import { releaseOwners } from './release.ts'
import { sameCluster } from './same-cluster.ts'

/** Last of all, what brings the owners may have them again. */
export const releaseParents = step({
  id: 'release/parents',
  title: 'Let go what brings the owners from Git',
  byHand: 'Take the annotation off the app of apps (flux resume kustomization).',
  needs: [lookAtClaims, releaseOwners],
  danger: 'changes',
  bounds: { expected: '1s', limit: '2m' },
  retry: { times: 4, delay: '2s' },
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe(look) {
    sameCluster(look)
    const { kubernetes, output, run } = look
    const held = await heldByUs(output(lookAtClaims).parents, kubernetes, run.id)
    return held.length === 0
      ? done({}, 'nothing is held back by this run')
      : due(...held.map(p => `let go ${p.name}`))
  },
  async apply({ kubernetes, output, run }) {
    await letGo(output(lookAtClaims).parents, kubernetes, run.id)
  },
})
