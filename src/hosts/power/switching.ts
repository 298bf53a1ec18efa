import { Fault } from '../../runbook/fault.ts'
import { withoutEffect } from './faults.ts'
import type { PowerReader, PowerWriter } from './power.ts'
import { until } from './until.ts'

/** Orders that every BMC knows in its own words. */
export type Order = 'turn it on' | 'take its power away' | 'shut it down'

/** Time, as far as tests and rehearsals have less of it. */
export interface Pace {
  /** Scales the time between two looks; 1 in real life. */
  pace?: number | undefined
  /** Scales how long an effect is waited for; 1 in real life. */
  patience?: number | undefined
}

// Boards take up to half a minute to show a change, and some BMCs report from a cache.
const switchLimitMs = 90_000
// A system that was asked to shut down may first end its containers.
const shutDownLimitMs = 5 * 60_000
const everyMs = 2_000

/** On and off for anything whose state can be asked: nothing is ordered that is so already, nothing believed unseen. */
export function switching(
  reader: Pick<PowerReader, 'where' | 'state'>,
  order: (order: Order, signal: AbortSignal) => Promise<void>,
  { pace = 1, patience = 1 }: Pace,
): Pick<PowerWriter, 'turnOn' | 'turnOff' | 'restart'> {
  const bring = async (wanted: 'on' | 'off', what: Order, signal: AbortSignal) => {
    if ((await reader.state(signal)) === wanted) return
    let lost: Fault | undefined
    try {
      await order(what, signal)
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown
      // An answer that was lost says nothing of the order; and a refused one may have come after somebody else's.
      if (!thrown.transient && (await reader.state(signal)) !== wanted) throw thrown
      lost = thrown
    }
    const limitMs = (what === 'shut it down' ? shutDownLimitMs : switchLimitMs) * patience
    let last = 'unknown'
    const came = await until(
      async () => {
        const before = last
        last = 'silent'
        last = await reader.state(signal)
        // Twice, since a BMC shows what it was told before it sees whether the machine stays so.
        return (last === wanted && before === wanted) || undefined
      },
      { signal, limitMs, everyMs: everyMs * pace },
    )
    if (came) return
    if (lost) throw lost
    const instead = last === 'silent' ? 'it does not answer' : `it says that the machine is ${last}`
    throw withoutEffect(reader.where, what, instead, limitMs)
  }
  const turnOn = (signal: AbortSignal) => bring('on', 'turn it on', signal)
  const turnOff = (how: 'gracefully' | 'now', signal: AbortSignal) =>
    bring('off', how === 'now' ? 'take its power away' : 'shut it down', signal)
  return {
    turnOn,
    turnOff,
    // In two halves, each of which is seen: of a reset, nothing can be seen.
    async restart(signal) {
      await turnOff('now', signal)
      await turnOn(signal)
    },
  }
}
