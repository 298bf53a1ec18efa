import { setMaxListeners } from 'node:events'
import { Agreements } from './agreements.ts'
import type { ConsentDesk } from './consent.ts'
import { milliseconds } from './duration.ts'
import type { EventSink, RunEventBody, RunState } from './events.ts'
import { FanOuts } from './fan-outs.ts'
import { toFault } from './fault.ts'
import { type Instance, StepGraph } from './graph.ts'
import { Limits } from './limits.ts'
import { Performer, type PerformOptions } from './perform.ts'
import type { StepFailure } from './step.ts'
import { Stopped } from './time.ts'

export interface ExecuteOptions<R extends object, W extends R> extends PerformOptions<R, W> {
  run: string
  /** True when this process goes on with what another began. */
  resumed: boolean
  consent: ConsentDesk
  sink: EventSink
  /** How many may hold a resource at once, by name or by the part before its colon; 1 when not named. */
  limits?: Record<string, number>
}

export interface Execution {
  state: RunState
  failures: StepFailure[]
  /** Steps not done. */
  left: number
  tookMs: number
}

/**
 * Runs a runbook: every step the moment its needs are done, each observed before and after. Never rejects for what
 * happens in a step; rejects with Fault `journal-unwritable` when its own record cannot be kept.
 */
export async function execute<R extends object, W extends R>(
  options: ExecuteOptions<R, W>,
): Promise<Execution> {
  return new Executor(options).run()
}

class Executor<R extends object, W extends R> {
  private readonly o: ExecuteOptions<R, W>
  private readonly graph: StepGraph
  private readonly limits: Limits
  private readonly performer: Performer<R, W>
  private readonly beganAt = performance.now()
  private readonly failures: StepFailure[] = []
  private readonly queue: Instance[] = []
  /** Steps that could start but for a resource, by its name. */
  private readonly waiting = new Map<string, Instance[]>()
  private readonly freed = new Set<string>()
  private running = 0
  private fatal: unknown
  private wake: () => void = () => {}

  constructor(options: ExecuteOptions<R, W>) {
    this.o = options
    this.limits = new Limits(options.limits ?? {})
    const emit = (event: RunEventBody) => this.emit(event)
    const agreements = new Agreements({
      given: options.claims.consents,
      desk: options.consent,
      journal: options.journal,
      emit,
      stop: options.stop,
    })
    const fanOuts = new FanOuts({
      journalled: options.claims.fanOuts,
      journal: options.journal,
      emit,
      unwritable: thrown => {
        this.fatal ??= thrown
      },
    })
    this.graph = new StepGraph(options.runbook, {
      ready: instance => this.queue.push(instance),
      known: instances => {
        const steps = instances.map(i => ({
          id: i.id,
          phase: i.phase,
          title: i.title,
          danger: i.step.danger,
          expectedMs: milliseconds(i.step.bounds.expected),
        }))
        if (steps.length > 0) this.emit({ code: 'steps-known', steps })
      },
      subjects: (fan, source) => fanOuts.subjects(fan, source),
    })
    this.performer = new Performer(options, this.graph, agreements, emit)
  }

  async run(): Promise<Execution> {
    const { o } = this
    this.emit({
      code: 'run-started',
      run: o.run,
      runbook: o.runbook.id,
      resumed: o.resumed,
      phases: o.runbook.phases.map(p => ({ id: p.id, title: p.title })),
    })
    const ended = new Promise<void>(resolve => {
      this.wake = resolve
    })
    const onStop = () => {
      this.emit({ code: 'run-stopping', how: o.now.aborted ? 'now' : 'after-current' })
      if (this.running === 0 || o.now.aborted) this.wake()
    }
    // Every step that waits listens; Node would take more than ten for a leak and say so in the person's terminal.
    setMaxListeners(0, o.stop, o.now)
    o.stop.addEventListener('abort', onStop)
    o.now.addEventListener('abort', onStop)
    try {
      this.guard(() => this.graph.begin(o.readers))
      this.pump()
      if (this.running > 0) await ended
    } finally {
      o.stop.removeEventListener('abort', onStop)
      o.now.removeEventListener('abort', onStop)
      this.performer.close()
    }
    if (this.fatal !== undefined) throw this.fatal
    let left = [...this.graph.unexpanded()].length
    for (const instance of this.graph.instances()) if (!instance.result) left += 1
    const state: RunState = left === 0 ? 'finished' : this.failures.length > 0 ? 'failed' : 'stopped'
    const failed = this.failures.map(f => f.step)
    for (const [instance, cause] of this.graph.leftAfter(new Set(failed)))
      this.emit({
        code: 'step-left',
        step: instance.id,
        because: `it comes after "${cause.title}", which failed`,
      })
    const tookMs = Math.round(performance.now() - this.beganAt)
    await o.journal.append({ kind: 'ended', state, failed, left, tookMs })
    this.emit({ code: 'run-ended', run: o.run, state, failed, left, tookMs })
    return { state, failures: this.failures, left, tookMs }
  }

  private emit(event: RunEventBody): void {
    try {
      this.o.sink(Object.assign(event, { atMs: Math.round(performance.now() - this.beganAt) }))
    } catch {
      // A view that breaks must not stop a recovery.
    }
  }

  private guard(action: () => void): void {
    try {
      action()
    } catch (thrown) {
      this.fatal ??= thrown
    }
  }

  /** Starts everything that may start. */
  private pump(): void {
    if (!this.o.stop.aborted && !this.o.now.aborted && this.fatal === undefined) {
      for (const name of this.freed) {
        const waiting = this.waiting.get(name) ?? []
        while (waiting.length > 0 && this.limits.free(name)) this.admit(waiting.shift()!)
      }
      this.freed.clear()
      for (const instance of this.queue.splice(0)) this.admit(instance)
    }
    if (this.running === 0) this.wake()
  }

  /** Starts a step, or lets it wait for the first of its resources that is taken. */
  private admit(instance: Instance): void {
    const uses = instance.step.uses?.(instance.subject) ?? []
    const full = this.limits.take(uses)
    if (full !== undefined) {
      const waiting = this.waiting.get(full)
      if (waiting) waiting.push(instance)
      else this.waiting.set(full, [instance])
      return
    }
    this.running += 1
    void this.start(instance, uses)
  }

  private async start(instance: Instance, uses: readonly string[]): Promise<void> {
    const began = performance.now()
    try {
      const { output, recorded } = await this.performer.perform(instance, began)
      // What needs this step may look now. It can't act before this checkpoint is on the disk: its own intent comes after
      // it in the journal, and when both come in one turn they share a flush.
      this.guard(() => this.graph.settle(instance, { output }))
      if (recorded !== undefined) {
        this.pump()
        await recorded
      }
    } catch (thrown) {
      await this.fail(instance, thrown, began)
    }
    this.limits.give(uses)
    for (const name of uses) this.freed.add(name)
    this.running -= 1
    this.pump()
  }

  private async fail(instance: Instance, thrown: unknown, began: number): Promise<void> {
    if (thrown instanceof Stopped || this.o.now.aborted) return
    const fault = toFault(thrown, instance.title)
    if (fault.code === 'journal-unwritable') {
      this.fatal ??= fault
      return
    }
    this.failures.push({ step: instance.id, title: instance.title, fault })
    const tookMs = Math.round(performance.now() - began)
    this.emit({ code: 'step-failed', step: instance.id, fault: fault.toJSON(), tookMs })
    try {
      await this.o.journal.append({ kind: 'failed', step: instance.id, fault: fault.toJSON(), tookMs })
    } catch (unwritable) {
      this.fatal ??= unwritable
    }
  }
}
