import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { letThrough } from '../volumes/let-through.ts'
import { verifyVolume } from '../volumes/verify.ts'
import { eachApplication } from './each-application.ts'
import { lookAt, untilWell } from './well.ts'

/**
 * What was let through early may wait for what comes later: it has to be well, too, while the others are released. One that
 * is not holds nobody up.
 */
export const settleApplication = step({
  id: 'applications/settle',
  title: application => `Wait for ${application.name}`,
  byHand: '`kubectl -n argocd get applications`: all Synced and Healthy.',
  each: eachApplication,
  only: application => !isHeld(application),
  needs: [letThrough, verifyVolume],
  danger: 'changes',
  bounds: { expected: '30s', limit: '1h' },
  retry: { times: 4, delay: '5s' },
  output: z.strictObject({}),
  async observe({ application, kubernetes }) {
    const seen = await lookAt(application, kubernetes)
    if (seen.state === 'well') return done({}, seen.evidence)
    return due(`wait for ${application.name}${seen.state === 'unwell' ? `: ${seen.why}` : ''}`)
  },
  async apply({ application, kubernetes, wait, note }) {
    await untilWell(application, kubernetes, { wait, note })
  },
})
