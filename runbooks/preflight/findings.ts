import type { Fault, FaultText } from '../../src/runbook/fault.ts'
import { blocked } from '../../src/runbook/step.ts'

/** What must be mended: a fault, or as much of one. */
export type Told = Pick<FaultText, 'code' | 'blame' | 'message' | 'remedy'>

/** Everything that must be mended, in one answer: under the code of the first, each with what to do. */
export function refused([first, ...others]: [Told, ...Told[]]): ReturnType<typeof blocked> {
  const all = [first, ...others]
  const remedies = [...new Set(all.map(f => f.remedy))]
  return blocked(first.code, all.map(f => f.message).join('\n'), remedies.join('; '))
}

/** What would be a fault elsewhere and is none here. */
export function asWarning(fault: Fault, message: string): Told {
  return { code: fault.code, blame: fault.blame, message, remedy: fault.remedy }
}
