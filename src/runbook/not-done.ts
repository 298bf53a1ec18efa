import { Fault } from './fault.ts'
import type { Instance } from './graph.ts'
import type { Observation } from './step.ts'

/** The fault of a look that had to find something and did not. */
export function notSo(instance: Instance, changes: string[]): Fault {
  return new Fault({
    code: 'check-failed',
    blame: 'operator',
    message: `${instance.title}: ${changes.join('; ')}`,
    remedy: 'Mend that, then run `recover resume`',
  })
}

/** The fault of a step that cannot go on, or that looks before what it needs is there. */
export function refusal(
  instance: Instance,
  seen: Exclude<Observation<unknown>, { state: 'done' | 'due' }>,
): Fault {
  if (seen.state === 'blocked')
    return new Fault({
      code: seen.code,
      blame: 'operator',
      message: `${instance.title}: ${seen.reason}`,
      remedy: seen.remedy,
    })
  return new Fault({
    code: 'need-undeclared',
    blame: 'bug',
    message: `${instance.id} reads ${seen.until} and does not wait for it`,
    remedy: 'Report it: the runbook lacks a need',
  })
}

/** The fault of an effect that looking again does not show. */
export function withoutEffect(instance: Instance, changes: string[]): Fault {
  return new Fault({
    code: 'apply-without-effect',
    blame: 'host',
    message: `${instance.title}: everything reported success, yet looking again shows it is not done: ${changes.join('; ')}`,
    remedy: 'Look at the log of this run for what was answered, mend it, then run `recover resume`',
  })
}
