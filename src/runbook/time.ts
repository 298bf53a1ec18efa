import { type Duration, milliseconds } from './duration.ts'
import { Fault } from './fault.ts'
import type { WaitOptions } from './step.ts'

/** Raised inside a step when the person stops the run; not a failure. */
export class Stopped extends Error {
  constructor() {
    super('stopped by the person')
  }
}

/** A limit on one attempt at a step, by a monotonic clock. */
export interface Deadline {
  /** Aborts at the limit or when the run stops at once; made when first asked for. */
  signal(): AbortSignal
  /** Milliseconds left. */
  left(): number
  /** The action's result, or Fault `step-timed-out` at the limit, or {@link Stopped}. */
  within<T>(action: Promise<T>): Promise<T>
  clear(): void
}

export function deadline(limitMs: number, now: AbortSignal, title: string): Deadline {
  const end = performance.now() + limitMs
  let controller: AbortController | undefined
  let end1: ((error: Error) => void) | undefined
  const expired = () => {
    const fault = new Fault({
      code: 'step-timed-out',
      blame: 'network',
      message: `${title} took longer than its limit of ${limitMs / 1000} s`,
      remedy: 'See the last note for what it waited for; when that is mended, run `recover resume`',
    })
    controller?.abort(fault)
    end1?.(fault)
  }
  const onNow = () => {
    const stopped = new Stopped()
    controller?.abort(stopped)
    end1?.(stopped)
  }
  // Node clamps a timer beyond 2^31-1 ms to 1 ms.
  const timer = setTimeout(expired, Math.min(limitMs, 2_147_483_647))
  now.addEventListener('abort', onNow)
  return {
    signal() {
      if (!controller) {
        controller = new AbortController()
        if (now.aborted) controller.abort(new Stopped())
      }
      return controller.signal
    },
    left: () => Math.max(0, end - performance.now()),
    within(action) {
      return new Promise((resolve, reject) => {
        end1 = reject
        if (now.aborted) reject(new Stopped())
        action.then(resolve, reject)
      })
    },
    clear() {
      clearTimeout(timer)
      now.removeEventListener('abort', onNow)
    },
  }
}

/** Sleeps; rejects with {@link Stopped} as soon as one of the signals aborts. */
export function pause(ms: number, signals: AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void) => () => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', stopped)
      action()
    }
    const stopped = settle(() => reject(new Stopped()))
    const timer = setTimeout(settle(resolve), ms)
    for (const signal of signals) {
      if (signal.aborted) return stopped()
      signal.addEventListener('abort', stopped)
    }
  })
}

/** Builds a step's `wait`: looks again and again, bounded, telling what for. Faults that pass by themselves count as "not yet". */
export function waiter(
  limit: Deadline,
  stop: AbortSignal,
  pace: number,
  tell: (what: string, limitMs: number) => void,
) {
  return async <T>(
    what: string,
    probe: () => Promise<T | undefined>,
    options: WaitOptions = {},
  ): Promise<T> => {
    const own = options.limit === undefined ? Number.POSITIVE_INFINITY : milliseconds(options.limit)
    const limitMs = Math.min(own, limit.left())
    const end = performance.now() + limitMs
    const every = milliseconds(options.every ?? ('1s' satisfies Duration)) * pace
    let last: Fault | undefined
    for (let told = false; ; ) {
      try {
        const found = await probe()
        if (found !== undefined) return found
      } catch (thrown) {
        if (!(thrown instanceof Fault) || !thrown.transient) throw thrown
        last = thrown
      }
      if (!told) tell(what, limitMs)
      told = true
      if (performance.now() + every > end)
        throw new Fault({
          code: 'wait-timed-out',
          blame: 'network',
          message: `waited ${Math.round(limitMs / 1000)} s for ${what}${last ? `; the last look failed: ${last.message}` : ''}`,
          remedy: last?.remedy ?? 'Find out why it does not come, then run `recover resume`',
          ...(last ? { cause: last } : {}),
        })
      await pause(every, [stop, limit.signal()])
    }
  }
}
