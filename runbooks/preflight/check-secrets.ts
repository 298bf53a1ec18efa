import { z } from 'zod'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** Every secret that the run will need can be had, before anything depends on it. No value is kept. */
export const checkSecrets = step({
  id: 'preflight/check-secrets',
  title: 'Check that every secret can be had',
  byHand: 'Have the NAS’s password and 1Password Connect’s two credentials at hand, outside the cluster.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '5m' },
  output: z.strictObject({ secrets: z.array(z.string()) }),
  async observe({ cluster, secrets, wantedSecrets }) {
    const wanted = [
      ...wantedSecrets,
      ...(cluster.onePassword === undefined
        ? []
        : [
            { secret: 'onepassword', field: 'credentials' },
            { secret: 'onepassword', field: 'token' },
          ]),
    ]
    for (const { secret, field } of wanted)
      if (!(await secrets.has(secret, field)))
        return blocked(
          'secret-missing',
          `no source of secrets knows the field ${field} of ${secret}`,
          `Put it into one of ${cluster.entry.secrets.from.join(', ')} (secrets.from in recover.yaml)`,
        )
    const names = wanted.map(w => `${w.secret}.${w.field}`)
    return done({ secrets: names }, `${names.length} secrets can be had: ${names.join(', ')}`)
  },
})
