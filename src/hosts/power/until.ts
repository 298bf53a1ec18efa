import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../runbook/fault.ts'

/** How long something is looked for, by the clock, and how often. */
export interface Patience {
  signal: AbortSignal
  limitMs: number
  everyMs: number
}

/**
 * Looks until something is found, or the time is over (`undefined`). Failures that pass by themselves count as "not yet":
 * BMCs go silent for seconds while they switch. Rejects with the signal's reason.
 */
export async function until<T>(
  probe: () => Promise<T | undefined>,
  { signal, limitMs, everyMs }: Patience,
): Promise<T | undefined> {
  const end = performance.now() + limitMs
  for (;;) {
    try {
      const found = await probe()
      if (found !== undefined) return found
    } catch (thrown) {
      if (!(thrown instanceof Fault) || !thrown.transient) throw thrown
    }
    if (performance.now() + everyMs > end) return undefined
    await rest(everyMs, signal)
  }
}

/** Sleeps; rejects with the signal's reason. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  try {
    await sleep(ms, undefined, { signal })
  } catch (thrown) {
    signal.throwIfAborted()
    throw thrown
  }
}
