import { Fault } from '../runbook/fault.ts'

/** Every way in which the program ends. */
export const exitCodes = {
  done: 0,
  bug: 1,
  usage: 2,
  blocked: 3,
  failed: 4,
  verification: 5,
  locked: 6,
  stopped: 130,
} as const

/** What each exit code means, for docs/exit-codes.md and `--help`. */
export const exitMeanings: Record<number, string> = {
  0: 'done',
  1: 'a bug of ours; of `recover hosts ignition`, as of butane: the file does not compile',
  2: 'the command, recover.yaml or a file that it names is wrong; nothing was changed',
  3: 'a person must act before it can go on: consent is missing, something is in the way; of `recover doctor`: something would stop a recovery',
  4: 'a step failed; `recover resume` goes on once its cause is mended',
  5: 'something was proven to be wrong with the result',
  6: 'somebody else holds the lock',
  130: 'stopped by a signal; `recover resume` goes on',
}

const byCode: Record<string, number> = {
  'content-differs': exitCodes.verification,
  'check-answers-wrong': exitCodes.verification,
  locked: exitCodes.locked,
  'consent-missing': exitCodes.blocked,
  'stopped-before': exitCodes.stopped,
  'journal-unwritable': exitCodes.failed,
  'plan-differs': exitCodes.blocked,
  'world-moved': exitCodes.blocked,
  'victim-differs': exitCodes.blocked,
  'victim-content-changed': exitCodes.blocked,
  'cluster-file-changed': exitCodes.blocked,
  'runbook-changed': exitCodes.blocked,
}

/** The exit code of a fault that ended a command. */
export function exitCodeOf(thrown: unknown): number {
  if (!(thrown instanceof Fault)) return exitCodes.bug
  const own = byCode[thrown.code]
  if (own !== undefined) return own
  if (thrown.blame === 'bug') return exitCodes.bug
  return thrown.blame === 'operator' ? exitCodes.usage : exitCodes.failed
}

/**
 * The exit code of a run that failed in steps: what was proven wrong first, then what a person must do something about,
 * then everything that failed by itself.
 */
export function exitCodeOfFailures(faults: Fault[]): number {
  const codes = faults.map(fault => {
    const own = byCode[fault.code]
    if (own !== undefined) return own
    return fault.blame === 'operator' ? exitCodes.blocked : exitCodes.failed
  })
  return (
    codes.find(c => c === exitCodes.verification) ??
    codes.find(c => c === exitCodes.blocked) ??
    exitCodes.failed
  )
}
