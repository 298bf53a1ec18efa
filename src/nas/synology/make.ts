import { Fault } from '../../runbook/fault.ts'
import { DsmFault } from './faults.ts'

// A LUN, snapshot, target or share of that name is there; 068 is how DSM refuses a name of 255 characters, and makes the LUN.
const madeAllTheSame = new Set([18990538, 18990513, 18990744, 18990068, 3301])

/**
 * Makes a thing that is found by what it is called: a request whose answer was lost, or whose twin came first, has made it
 * too. `missing` says that the NAS reported success and that it is not there.
 */
export function makeUnlessThere(missing: (what: string, name: string) => Fault) {
  return async <T>(
    find: () => Promise<T | undefined>,
    make: () => Promise<unknown>,
    what: string,
    name: string,
  ): Promise<T> => {
    const there = await find()
    if (there) return there
    try {
      await make()
    } catch (thrown) {
      const maybeMade =
        thrown instanceof Fault &&
        (thrown.code === 'nas-unreachable' || (thrown instanceof DsmFault && madeAllTheSame.has(thrown.dsm)))
      if (!maybeMade) throw thrown
      const made = await find()
      if (!made) throw thrown
      return made
    }
    const made = await find()
    if (!made) throw missing(what, name)
    return made
  }
}
