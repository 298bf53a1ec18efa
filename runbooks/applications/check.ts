import { z } from 'zod'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { ask } from './ask.ts'
import { checkNow, eachCheck } from './each-check.ts'
import { releaseApplication } from './release.ts'
import { settleApplication } from './settle.ts'

/** What the person would try first, tried: the very addresses that their family uses, their own databases. */
export const checkAnswer = step({
  id: 'applications/check',
  title: check => `Check ${check.name}`,
  byHand: 'Open it in a browser; run the command or the query of the check with `kubectl exec`.',
  each: eachCheck,
  needs: [settleApplication, releaseApplication],
  // What is said of one application does not wait for a sick other one.
  needsOf: check => check.applications,
  danger: 'reads',
  // Each check has its own limit below this one.
  bounds: { expected: '5s', limit: '24h' },
  retry: { times: 3, delay: '5s' },
  output: z.strictObject({ says: z.string() }),
  async observe({ check, pods, web, kubernetes, cluster, signal }) {
    const now = checkNow(check, cluster)
    if (!now) return done({ says: '' }, 'recover.yaml does not ask this any more')
    const { name, entry } = now
    if (!pods) return due(`ask whether all is well: ${name}`)
    const { well, says } = await ask(entry, { web, kubernetes, cluster }, pods, signal)
    return well ? done({ says }, `${name}: ${says}`) : due(`wait for ${name}: ${says}`)
  },
  async settle({ check, pods, web, kubernetes, cluster, signal, wait }) {
    const now = checkNow(check, cluster)
    if (!pods || !now) return
    const { name, entry } = now
    let last = ''
    try {
      await wait(
        `${name} to answer as it should`,
        async () => {
          const said = await ask(entry, { web, kubernetes, cluster }, pods, signal)
          last = said.says
          return said.well || undefined
        },
        { every: '2s', limit: (entry.within ?? '5m') as `${number}m` },
      )
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      throw new Fault({
        code: 'check-answers-wrong',
        blame: 'network',
        message: `${name} does not answer as it should: ${last}`,
        remedy:
          'Try it yourself; look at its application, its Service or Ingress and its DNS name; then run `recover resume`',
        cause: thrown,
      })
    }
  },
})
