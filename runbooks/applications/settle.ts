import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { applicationKind, stateOf } from '../../src/gitops/argocd.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { letThrough } from '../volumes/let-through.ts'
import { eachApplication } from './each-application.ts'
import { releaseApplication, unwell } from './release.ts'

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
    const { name, namespace } = application
    const live = await kubernetes.get({ ...applicationKind, namespace, name })
    if (!live) return due(`wait for the Application ${name}`)
    const { sync, health, complaint } = stateOf(live)
    return sync === 'Synced' && health === 'Healthy'
      ? done({}, `${name} is Synced and Healthy`)
      : due(`wait for ${name}: ${sync}, ${health}${complaint ? ` (${complaint})` : ''}`)
  },
  async settle({ application, kubernetes, wait }) {
    const { name, namespace } = application
    let last = 'it is not there'
    try {
      await wait(`${name} to be Synced and Healthy`, async () => {
        const live = await kubernetes.get({ ...applicationKind, namespace, name })
        if (!live) return undefined
        const { sync, health, complaint } = stateOf(live)
        last = `${sync}, ${health}${complaint ? `: ${complaint}` : ''}`
        return (sync === 'Synced' && health === 'Healthy') || undefined
      })
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      throw unwell(name, namespace, last, thrown)
    }
  },
})
