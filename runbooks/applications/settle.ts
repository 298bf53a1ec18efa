import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { letThrough } from '../volumes/let-through.ts'
import { eachApplication } from './each-application.ts'
import { releaseApplication } from './release.ts'
import { lookAt, untilWell } from './well.ts'

/** What was let through early may have waited for what came later; now it has to be well, too. */
export const settleApplication = step({
  id: 'applications/settle',
  title: application => `Wait for ${application.name}`,
  byHand: '`kubectl -n argocd get applications`: all Synced and Healthy.',
  each: eachApplication,
  only: application => !isHeld(application),
  needs: [letThrough, releaseApplication],
  danger: 'reads',
  bounds: { expected: '30s', limit: '30m' },
  retry: { times: 4, delay: '5s' },
  output: z.strictObject({}),
  async observe({ application, kubernetes }) {
    const seen = await lookAt(application, kubernetes)
    if (seen.state === 'well') return done({}, `${application.name} is Synced and Healthy`)
    return due(`wait for ${application.name}${seen.state === 'unwell' ? `: ${seen.why}` : ''}`)
  },
  async settle({ application, kubernetes, wait }) {
    await untilWell(application, kubernetes, wait)
  },
})
