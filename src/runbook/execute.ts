import { setMaxListeners } from 'node:events'
import { Agreements } from './agreements.ts'
import type { ConsentDesk } from './consent.ts'
import { milliseconds } from './duration.ts'
import type { DoneHow, EventSink, RunEventBody, RunState } from './events.ts'
import { FanOuts } from './fan-outs.ts'
import { Fault, toFault } from './fault.ts'
import { type Instance, StepGraph } from './graph.ts'
import { begunBy, isOver } from './hold.ts'
import type { Journal } from './journal.ts'
import { Limits } from './limits.ts'
import { type ActingHooks, look, notSo, surroundings } from './lookaround.ts'
import type { Claim, Claims } from './replay.ts'
import type { Runbook } from './runbook.ts'
import type { Observation, StepFailure, Victim } from './step.ts'
import { type Deadline, Deadlines, type Limited, pause, Stopped, waiter } from './time.ts'

export interface ExecuteOptions<R extends object, W extends R> {
  run: string
  runbook: Runbook
  readers: R
  writers: W
  journal: Journal
  /** What the journal claims already; its beginning is in it. */
  claims: Claims
  /** True when this process goes on with what another began. */
  resumed: boolean
  consent: ConsentDesk
  sink: EventSink
  /** Stop after what is going on now. */
  stop: AbortSignal
  /** Stop at once. */
  now: AbortSignal
  /** How many may hold a resource at once, by name or by the part before its colon; 1 when not named. */
  limits?: Record<string, number>
  /** Scales the time between looks and between attempts (not limits); 1 is real life. */
  pace?: number
  /** Limits that a person changed, by step id, milliseconds. */
  limitsOf?: Readonly<Record<string, number>>
  /**
   * Changes every limit, milliseconds to milliseconds: a rehearsal need not wait for hours. What is at work may take longer
   * than what is waited for: a slow computer is no fault.
   */
  scaleLimit?: (limitMs: number, of: Limited) => number
  /** Steps that a person wants done again although they were done and the world moved. */
  redo?: ReadonlySet<string>
  /** Called around every effect; tests end the process here. */
  onPoint?: (point: 'before-effect' | 'after-effect', step: string) => void
}

export interface Execution {
  state: RunState
  failures: StepFailure[]
  /** Steps not done. */
  left: number
  tookMs: number
}

/** What a step's last look found, and when its checkpoint is on the disk; undefined where it was there before. */
interface Seen {
  output: unknown
  recorded: Promise<void> | undefined
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
  private readonly deadlines: Deadlines
  private readonly pace: number
  private readonly beganAt = performance.now()
  private readonly begun: Set<string>
  private readonly failures: StepFailure[] = []
  private readonly queue: Instance[] = []
  /** Steps that could start but for a resource, by its name. */
  private readonly waiting = new Map<string, Instance[]>()
  private readonly freed = new Set<string>()
  private running = 0
  private fatal: unknown
  private wake: () => void = () => {}
  private readonly agreements: Agreements

  constructor(options: ExecuteOptions<R, W>) {
    this.o = options
    this.limits = new Limits(options.limits ?? {})
    this.deadlines = new Deadlines(options.now)
    this.pace = options.pace ?? 1
    const emit = (event: RunEventBody) => this.emit(event)
    this.agreements = new Agreements({
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
    this.begun = begunBy(options.claims)
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
      this.deadlines.close()
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
      const { output, recorded } = await this.perform(instance, began)
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

  /** One step, from its first look to its checkpoint. */
  private async perform(instance: Instance, began: number): Promise<Seen> {
    const claim = this.o.claims.steps.get(instance.id)
    if (claim?.checkpoint && isOver(instance, this.o.runbook, this.begun)) {
      const { output, evidence, warnings } = claim.checkpoint
      const beside = warnings ? { warnings } : {}
      this.emit({ code: 'step-done', step: instance.id, how: 'kept', evidence, tookMs: 0, ...beside })
      return { output, recorded: undefined }
    }
    this.emit({ code: 'step-looking', step: instance.id })
    const times = instance.step.retry?.times ?? 1
    for (let attempt = 1; ; attempt += 1)
      try {
        return await this.attempt(instance, claim, attempt, began)
      } catch (thrown) {
        const transient = thrown instanceof Fault && thrown.transient
        if (!transient || attempt >= times || this.o.now.aborted) throw thrown
        const delayMs = milliseconds(instance.step.retry?.delay ?? '1s') * 2 ** (attempt - 1) * this.pace
        this.emit({
          code: 'step-retrying',
          step: instance.id,
          fault: thrown.toJSON(),
          attempt,
          of: times,
          delayMs,
        })
        await pause(delayMs, [this.o.stop, this.o.now])
      }
  }

  private async attempt(
    instance: Instance,
    claim: Claim | undefined,
    attempt: number,
    began: number,
  ): Promise<Seen> {
    const { step, id } = instance
    const limitMs = this.o.limitsOf?.[step.id] ?? milliseconds(step.bounds.limit)
    const limit = this.deadlines.begin(this.scaled(limitMs, 'work'), instance.title)
    const signal = () => limit.signal()
    const hooks = () => this.hooks(id, instance.key ?? '', limit, this.scaled(limitMs, 'wait'))
    const reading = surroundings(this.o.readers, instance, this.graph, signal)
    const observe = () => limit.within(this.observe(instance, reading))
    try {
      const first = await observe()
      if (first.state === 'done') return this.checkpoint(instance, claim, first, began, false)
      if (first.state !== 'due') throw refusal(instance, first)
      this.emit({ code: 'step-due', step: id, changes: first.changes })

      if (step.danger === 'reads') {
        if (!step.settle) throw notSo(instance, first.changes)
        await limit.within(step.settle(surroundings(this.o.readers, instance, this.graph, signal, hooks)))
      } else {
        const victims = (begun: boolean) => {
          limit.restart()
          return step.victims!(reading, begun)
        }
        await this.announce(instance, claim, attempt, first.changes, victims)
        if (step.danger === 'destroys') limit.restart()
        this.begun.add(id)
        this.o.onPoint?.('before-effect', id)
        this.emit({ code: 'step-applying', step: id, attempt })
        await limit.within(step.apply!(surroundings(this.o.writers, instance, this.graph, signal, hooks)))
        this.o.onPoint?.('after-effect', id)
      }
      const second = await observe()
      if (second.state === 'done') return this.checkpoint(instance, claim, second, began, true)
      if (second.state === 'due') throw withoutEffect(instance, second.changes)
      throw refusal(instance, second)
    } finally {
      limit.clear()
    }
  }

  private hooks(id: string, subject: string, limit: Deadline, waitMs: number): ActingHooks {
    return {
      note: text => {
        this.emit({ code: 'step-note', step: id, text })
        this.o.journal.append({ kind: 'note', step: id, text }).catch(() => {})
      },
      progress: (done, total, unit) => this.emit({ code: 'step-progress', step: id, done, total, unit }),
      askHand: text => this.emit({ code: 'hand-needed', step: id, subject, text }),
      wait: waiter(
        limit,
        this.o.stop,
        this.pace,
        (what, limitMs) => this.emit({ code: 'step-waiting', step: id, what, limitMs }),
        own => (own === undefined ? waitMs : this.scaled(milliseconds(own), 'wait')),
      ),
    }
  }

  private scaled(limitMs: number, of: Limited): number {
    return this.o.scaleLimit ? this.o.scaleLimit(limitMs, of) : limitMs
  }

  private async observe(instance: Instance, reading: object): Promise<Observation<unknown>> {
    const observation = await look(instance.step, reading)
    if (observation.state !== 'done') return observation
    const parsed = instance.step.output.safeParse(observation.output)
    if (parsed.success) return { ...observation, output: parsed.data }
    throw new Fault({
      code: 'output-invalid',
      blame: 'bug',
      message: `${instance.id} found something that does not fit what it promises: ${parsed.error.message}`,
      remedy: 'Report it with the run folder’s journal',
    })
  }

  /** Everything that must be true and durable before an effect. */
  private async announce(
    instance: Instance,
    claim: Claim | undefined,
    attempt: number,
    changes: string[],
    lookUp: (begun: boolean) => Promise<Victim[]>,
  ): Promise<void> {
    const { step, id } = instance
    const redo = this.o.redo?.has(id) || this.o.redo?.has(step.id)
    if (claim?.checkpoint) {
      const because = `it was done (${claim.checkpoint.evidence}), and now it is not: ${changes.join('; ')}`
      if (step.danger === 'destroys' && !redo)
        throw new Fault({
          code: 'world-moved',
          blame: 'operator',
          message: `${instance.title}: ${because}; a step that destroys is never done a second time by itself`,
          remedy: `Find out who changed it. To do it again, run \`recover resume --redo '${id}'\`; you will be asked about every victim`,
        })
      await this.o.journal.append({ kind: 'moved', step: id, because })
      this.emit({ code: 'step-moved', step: id, because })
    } else if ((claim?.intents ?? 0) > 0 && attempt === 1)
      this.emit({
        code: 'step-repeating',
        step: id,
        because: 'an earlier attempt was begun and never seen to finish, and its result is not there',
      })
    let victims: Victim[] | undefined
    if (step.danger === 'destroys') {
      const ours = ((claim?.intents ?? 0) > 0 || attempt > 1) && !redo
      victims = await this.agreements.reach(instance, () => lookUp(ours), { ours, again: Boolean(redo) })
    }
    await this.o.journal.append({
      kind: 'intent',
      step: id,
      attempt,
      changes,
      ...(victims ? { victims } : {}),
    })
  }

  private checkpoint(
    instance: Instance,
    claim: Claim | undefined,
    observation: Extract<Observation<unknown>, { state: 'done' }>,
    began: number,
    applied: boolean,
  ): Seen {
    const { output, evidence, table, warnings } = observation
    const beside = warnings ? { warnings } : {}
    const before = claim?.checkpoint
    const how: DoneHow = applied ? 'applied' : before || (claim?.intents ?? 0) > 0 ? 'confirmed' : 'already'
    const tookMs = Math.round(performance.now() - began)
    const same =
      before &&
      !applied &&
      JSON.stringify([before.output, before.warnings]) === JSON.stringify([output, warnings])
    this.begun.add(instance.id)
    if (table && !before) this.emit({ code: 'step-table', step: instance.id, table })
    const tell = () => this.emit({ code: 'step-done', step: instance.id, how, evidence, tookMs, ...beside })
    if (same) {
      tell()
      return { output, recorded: undefined }
    }
    const { journal } = this.o
    const record = journal.append({
      kind: 'checkpoint',
      step: instance.id,
      how,
      output,
      evidence,
      tookMs,
      ...beside,
    })
    return { output, recorded: record.then(tell) }
  }
}

function refusal(instance: Instance, seen: Exclude<Observation<unknown>, { state: 'done' | 'due' }>): Fault {
  if (seen.state === 'blocked')
    return new Fault({
      code: seen.code,
      blame: 'operator',
      message: `${instance.title}: ${seen.reason}`,
      remedy: seen.remedy,
    })
  return new Fault({
    code: 'need-undeclared',
    blame: 'bug',
    message: `${instance.id} reads ${seen.until} and does not wait for it`,
    remedy: 'Report it: the runbook lacks a need',
  })
}

function withoutEffect(instance: Instance, changes: string[]): Fault {
  return new Fault({
    code: 'apply-without-effect',
    blame: 'host',
    message: `${instance.title}: everything reported success, yet looking again shows it is not done: ${changes.join('; ')}`,
    remedy: 'Look at the log of this run for what was answered, mend it, then run `recover resume`',
  })
}
