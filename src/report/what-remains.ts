import { z } from 'zod'
import type { Report } from './report.ts'

const told = z.object({ remains: z.array(z.string()) })

/**
 * What a person still has to do, most urgent first. `output` is that of the runbook's own last word, the step
 * `proof/what-remains`, where it came to that.
 */
export function whatRemains(report: Omit<Report, 'remains'>, output: unknown): string[] {
  const { state, damage, run, volumes } = report
  const own = told.safeParse(output)
  const remains: string[] = []
  for (const v of volumes)
    if (v.proof === 'differs')
      remains.push(
        `Let nobody write to ${v.claim}: its content is not what it was before. ${
          v.snapshot
            ? `The snapshot ${v.snapshot} on the NAS holds it as it was`
            : 'Compare it with its old disk'
        }`,
      )
  if (damage) remains.push(damage.fault.remedy)
  if (state !== 'running')
    for (const failure of report.failures)
      if (failure.standing) remains.push(`${failure.title}: ${failure.fault.remedy}`)
  if (state === 'failed' || state === 'stopped' || state === 'interrupted')
    remains.push(`Go on with \`recover resume ${run}\``)
  if (state === 'finished')
    for (const v of volumes)
      if (v.proof === 'missing')
        remains.push(
          `Look at the data of ${v.claim} before you rely on it: nothing has compared it with the old`,
        )
  return [...remains, ...(own.success ? own.data.remains : [])]
}
