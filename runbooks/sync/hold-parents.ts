import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { holdBack, looseOnes } from './hold.ts'
import { keepDisk } from './keep-disk.ts'
import { lookAtClaims } from './look-at-claims.ts'
import { sameCluster } from './same-cluster.ts'

/** What brings the owners of the claims would take the mark off them again: it is held first. */
export const holdParents = step({
  id: 'protect/hold-parents',
  title: 'Hold back what brings the owners from Git',
  byHand:
    'Annotate the app of apps with argocd.argoproj.io/skip-reconcile=true (Flux: flux suspend kustomization), from the top down.',
  needs: [lookAtClaims, keepDisk],
  danger: 'changes',
  bounds: { expected: '1s', limit: '2m' },
  retry: { times: 4, delay: '2s' },
  holdsUntil: 'release/parents',
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe(look) {
    sameCluster(look)
    const { kubernetes, output } = look
    const { parents } = output(lookAtClaims)
    const loose = await looseOnes(parents, kubernetes)
    if (loose.length > 0) return due(...loose.map(p => `hold ${p.name} back`))
    return done(
      {},
      parents.length === 0
        ? 'nothing brings the owners'
        : `${parents.map(p => p.name).join(', ')} is held back`,
    )
  },
  async apply({ kubernetes, output, run }) {
    // From the top down: the topmost was found last.
    await holdBack([...output(lookAtClaims).parents].reverse(), kubernetes, run.id)
  },
})
