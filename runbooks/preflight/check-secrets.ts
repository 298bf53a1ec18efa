import { z } from 'zod'
import { blocked, done, type Warning } from '../../src/runbook/step.ts'
import { inForm } from '../../src/secrets/connect-manifests.ts'
import { variableOf } from '../../src/secrets/environment.ts'
import type { SealedState } from '../../src/secrets/resolve.ts'
import { ownSecretsOf } from '../bootstrap/own-secrets.ts'
import { step } from '../kit.ts'
import { daysSince } from './days.ts'

/** Every secret that the run will need can be had, before anything depends on it. No value is kept. */
export const checkSecrets = step({
  id: 'preflight/check-secrets',
  title: 'Check that every secret can be had',
  byHand: 'Have the NAS’s password and 1Password Connect’s two credentials at hand, outside the cluster.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '5m' },
  output: z.strictObject({ secrets: z.array(z.string()) }),
  async observe(look) {
    const { cluster, secrets, wantedSecrets } = look
    const own = await ownSecretsOf(look)
    const wanted = [
      ...wantedSecrets,
      ...[...new Set(own.map(o => o.field))].map(field => ({ secret: 'onepassword', field })),
      ...cluster.bootstrap.flatMap(part => part.secrets.flatMap(s => Object.values(s.data))),
    ]
    const missing: { name: string; variable: string }[] = []
    for (const { secret, field } of wanted)
      if (!(await secrets.has(secret, field)))
        missing.push({ name: `${secret}.${field}`, variable: variableOf(secret, field) })
    if (missing.length > 0)
      return blocked(
        'secret-missing',
        `no source of secrets knows ${missing.map(m => m.name).join(', ')}`,
        `Put them into one of ${cluster.entry.secrets.from.join(', ')} (secrets.from in recover.yaml); in the environment they are ${missing.map(m => m.variable).join(', ')}`,
      )
    for (const { field, form } of own) inForm({ field, form }, await secrets.field('onepassword', field))
    const names = wanted.map(w => `${w.secret}.${w.field}`)
    const sealed = await secrets.sealed(wanted)
    const age = sealed ? daysSince(sealed.written) : 0
    return done(
      { secrets: names },
      `${names.length} secrets can be had: ${names.join(', ')}${sealed && !sealed.locked ? `; ${sealed.file} opens, written ${age} days ago` : ''}`,
      { warnings: sealed ? bundleWarnings(sealed, age) : [] },
    )
  },
})

/** Passwords are changed about once a year. */
const oldDays = 365

function bundleWarnings({ file, locked, lacks }: SealedState, age: number): Warning[] {
  if (locked) return [locked]
  const warnings: Warning[] = []
  if (lacks.length > 0)
    warnings.push({
      code: 'bundle-lacks',
      blame: 'operator',
      message: `${file} does not hold ${lacks.join(', ')}, which other sources know today`,
      remedy: 'Seal it anew with them: on the day when it is needed the others may be gone',
    })
  if (age > oldDays)
    warnings.push({
      code: 'bundle-old',
      blame: 'operator',
      message: `${file} was written ${age} days ago`,
      remedy: 'See that what it holds is still true, and seal it anew',
    })
  return warnings
}
