import { z } from 'zod'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { fanOut, step } from '../kit.ts'
import { releaseApplication } from './release.ts'
import { settleApplication } from './settle.ts'

/** The person's own checks, from recover.yaml. */
export const eachCheck = fanOut({
  name: 'check',
  schema: z.strictObject({ http: z.string(), status: z.number(), contains: z.string() }),
  key: check => check.http,
  subjects: ({ cluster }) =>
    (cluster.entry.checks ?? []).map(({ http, status, contains }) => ({
      http,
      status: status ?? 200,
      contains: contains ?? '',
    })),
})

/** What the person would try first, tried: the very addresses that their family uses. */
export const checkAnswer = step({
  id: 'applications/check',
  title: check => `Check ${check.http}`,
  byHand: 'Open it in a browser.',
  each: eachCheck,
  needs: [settleApplication, releaseApplication],
  danger: 'reads',
  bounds: { expected: '5s', limit: '10m' },
  retry: { times: 3, delay: '5s' },
  output: z.strictObject({ status: z.number() }),
  async observe({ check, web, signal }) {
    const { status, text, why } = await web.get(check.http, signal)
    if (status === check.status && text.includes(check.contains))
      return done(
        { status },
        `${check.http} answers ${status}${check.contains ? ' with the text that it should hold' : ''}`,
      )
    return due(`wait for ${check.http} to answer ${check.status}: ${why}`)
  },
  async settle({ check, web, signal, wait }) {
    let last = ''
    try {
      await wait(`${check.http} to answer ${check.status}`, async () => {
        const { status, text, why } = await web.get(check.http, signal)
        last = status === check.status ? `the text ${JSON.stringify(check.contains)} is not in it` : why
        return (status === check.status && text.includes(check.contains)) || undefined
      })
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      throw new Fault({
        code: 'check-answers-wrong',
        blame: 'network',
        message: `${check.http} does not answer as it should: ${last}`,
        remedy:
          'Try it in a browser; look at its application, its Ingress and its DNS name; then run `recover resume`',
        cause: thrown,
      })
    }
  },
})
