import { Fault } from '../../runbook/fault.ts'

/** A copy of a database that is not what its format promises. Never guessed around: a map made of garbage kills data. */
export function damaged(file: string, what: string): Fault {
  return new Fault({
    code: 'database-damaged',
    blame: 'operator',
    message: `${file} cannot be read: ${what}`,
    remedy:
      'Correct the path, or copy it again while nothing writes to it (k0s stopped; state.db together with its -wal file); or name another source',
    at: file,
  })
}

/** Does some reading; a place outside of a page, which only a damaged file leads to, is told as damage. */
export function reading<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof RangeError) throw damaged(file, thrown.message)
    throw thrown
  }
}
