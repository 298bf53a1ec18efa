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
  /** What the attempt waits for, for the fault at the limit. */
  waitingFor: string | undefined
  /** The action's result, or Fault `step-timed-out` at the limit, or {@link Stopped}. */
  within<T>(action: Promise<T>): Promise<T>
  /** Begins the time anew: what a person took to answer does not count. */
  restart(): void
  clear(): void
}

/**
 * The limits of all attempts under way. They share one timer and one listener: with one of each for every attempt,
 * these would be a tenth of what the engine costs.
 */
export class Deadlines {
  readonly now: AbortSignal
  private readonly open = new Set<OpenDeadline>()
  private timer: NodeJS.Timeout | undefined
  private timerAt = Number.POSITIVE_INFINITY
  private readonly onNow = () => {
    for (const deadline of this.open) deadline.end(new Stopped())
  }

  constructor(now: AbortSignal) {
    this.now = now
    now.addEventListener('abort', this.onNow)
  }

  /** Begins an attempt that may take so many milliseconds. */
  begin(limitMs: number, title: string): Deadline {
    const deadline = new OpenDeadline(this, limitMs, title)
    this.watch(deadline)
    return deadline
  }

  /** Titles of the attempts under way. */
  underWay(): string[] {
    return [...this.open].map(deadline => deadline.title)
  }

  watch(deadline: OpenDeadline): void {
    this.open.add(deadline)
    if (deadline.at < this.timerAt) this.arm(deadline.at)
  }

  drop(deadline: OpenDeadline): void {
    this.open.delete(deadline)
  }

  /** Lets go of the timer and the signal. */
  close(): void {
    clearTimeout(this.timer)
    this.now.removeEventListener('abort', this.onNow)
  }

  private arm(at: number): void {
    clearTimeout(this.timer)
    this.timerAt = at
    // Node clamps a timer beyond 2^31-1 ms to 1 ms.
    const ms = Math.min(Math.max(1, Math.ceil(at - performance.now())), 2_147_483_647)
    this.timer = setTimeout(() => this.look(), ms)
  }

  /** Ends what is over; the attempt that the timer was set for may have ended by itself long ago. */
  private look(): void {
    this.timerAt = Number.POSITIVE_INFINITY
    let next = Number.POSITIVE_INFINITY
    for (const deadline of this.open)
      if (deadline.left() === 0) deadline.expire()
      else next = Math.min(next, deadline.at)
    if (next < Number.POSITIVE_INFINITY) this.arm(next)
  }
}

class OpenDeadline implements Deadline {
  at: number
  waitingFor: string | undefined
  private readonly all: Deadlines
  private readonly limitMs: number
  readonly title: string
  private controller: AbortController | undefined
  private reject: ((error: Error) => void) | undefined
  private over: Error | undefined

  constructor(all: Deadlines, limitMs: number, title: string) {
    this.all = all
    this.limitMs = limitMs
    this.title = title
    this.at = performance.now() + limitMs
    if (all.now.aborted) this.over = new Stopped()
  }

  signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController()
      if (this.over) this.controller.abort(this.over)
    }
    return this.controller.signal
  }

  left(): number {
    return Math.max(0, this.at - performance.now())
  }

  within<T>(action: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.reject = reject
      if (this.over) reject(this.over)
      action.then(resolve, reject)
    })
  }

  restart(): void {
    if (this.all.now.aborted) return
    this.at = performance.now() + this.limitMs
    this.over = undefined
    this.controller = undefined
    this.all.watch(this)
  }

  clear(): void {
    this.all.drop(this)
  }

  expire(): void {
    this.clear()
    this.end(
      new Fault({
        code: 'step-timed-out',
        blame: 'network',
        message: `${this.title} took longer than its limit of ${this.limitMs / 1000} s${this.waitingFor === undefined ? '' : `, waiting for ${this.waitingFor}`}`,
        remedy: 'Find out why it takes so long; when that is mended, run `recover resume`',
      }),
    )
  }

  end(error: Error): void {
    this.over = error
    this.controller?.abort(error)
    this.reject?.(error)
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

/** What a limit is for: a whole attempt, or one thing that is waited for. */
export type Limited = 'work' | 'wait'

/**
 * Builds a step's `wait`: looks again and again, bounded, telling what for. Faults that pass by themselves count as "not yet".
 * @param longestMs milliseconds for a wait, by its own limit where it has one
 */
export function waiter(
  limit: Deadline,
  stop: AbortSignal,
  pace: number,
  tell: (what: string, limitMs: number) => void,
  longestMs: (own: Duration | undefined) => number,
) {
  return async <T>(
    what: string,
    probe: () => Promise<T | undefined>,
    options: WaitOptions = {},
  ): Promise<T> => {
    // A little less than the step has left: a look may be under way at the end, and who waited can say best for what.
    const left = limit.left()
    const limitMs = Math.min(longestMs(options.limit), left - Math.min(10_000, left / 20))
    const end = performance.now() + limitMs
    const every = milliseconds(options.every ?? ('1s' satisfies Duration)) * pace
    let last: Fault | undefined
    limit.waitingFor = what
    for (let told = false; ; ) {
      try {
        const found = await probe()
        if (found !== undefined) {
          limit.waitingFor = undefined
          return found
        }
      } catch (thrown) {
        if (!(thrown instanceof Fault) || !thrown.transient || options.impatient) throw thrown
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
