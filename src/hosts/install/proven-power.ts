import { assertSameMachine } from '../power/identity.ts'
import type { PowerReader } from '../power/power.ts'
import type { Situation } from './rung.ts'

/** Asks a BMC whose it is, before its power is touched; refuses a stranger's. @returns what proved it, for a note */
export async function provenPower(
  power: PowerReader,
  { host, known, vouched }: Situation,
  signal: AbortSignal,
): Promise<string> {
  return assertSameMachine(host, power.where, await power.identity(signal), known, vouched)
}
