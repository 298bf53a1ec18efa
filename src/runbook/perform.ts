import type { Agreements } from './agreements.ts'
import { milliseconds } from './duration.ts'
import type { DoneHow, RunEventBody } from './events.ts'
import { Fault } from './fault.ts'
import type { Instance, StepGraph } from './graph.ts'
import { Begun } from './hold.ts'
import type { Journal } from './journal.ts'
import { type ActingHooks, actingWith, look, lookingWith } from './lookaround.ts'
import { notSo, refusal, withoutEffect } from './not-done.ts'
import type { Claim, Claims } from './replay.ts'
import type { Runbook } from './runbook.ts'
import type { Observation, Victim } from './step.ts'
import { type Deadline, Deadlines, type Limited, pause, waiter } from './time.ts'

/** What is needed to perform a runbook's steps. */
export interface PerformOptions<R extends object, W extends R> {
  runbook: Runbook
  readers: R
  writers: W
  journal: Journal
  /** What the journal claims already; its beginning is in it. */
  claims: Claims
  /** Stop after what is going on now. */
  stop: AbortSignal
  /** Stop at once. */
  now: AbortSignal
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

/** What a step's last look found, and when its checkpoint is on the disk; undefined where it was there before. */
interface Seen {
  output: unknown
  recorded: Promise<void> | undefined
}

/** Performs steps: looks, announces, acts, and looks again. */
export class Performer<R extends object, W extends R> {
  private readonly o: PerformOptions<R, W>
  private readonly agreements: Agreements
  private readonly emit: (event: RunEventBody) => void
  private readonly deadlines: Deadlines
  private readonly pace: number
  private readonly begun: Begun
  private readonly reading: ReturnType<typeof lookingWith>
  private readonly settling: ReturnType<typeof actingWith>
  private readonly writing: ReturnType<typeof actingWith>

  constructor(
    options: PerformOptions<R, W>,
    graph: StepGraph,
    agreements: Agreements,
    emit: (event: RunEventBody) => void,
  ) {
    this.o = options
    this.agreements = agreements
    this.emit = emit
    this.deadlines = new Deadlines(options.now)
    this.pace = options.pace ?? 1
    this.begun = new Begun(options.runbook, options.claims)
    this.reading = lookingWith(options.readers, graph)
    this.settling = actingWith(options.readers, graph)
    this.writing = actingWith(options.writers, graph)
  }

  /** Lets go of the clock, when no step is performed any more. */
  close(): void {
    this.deadlines.close()
  }

  /** One step, from its first look to its checkpoint. */
  async perform(instance: Instance, began: number): Promise<Seen> {
    const claim = this.o.claims.steps.get(instance.id)
    if (claim?.checkpoint && this.begun.endedClaimOf(instance)) {
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
    const hooks = () => this.hooks(id, instance.key ?? '', limit, this.scaled(limitMs, 'wait'))
    const reading = this.reading(instance, limit)
    const observe = () => limit.within(this.observe(instance, reading))
    try {
      const first = await observe()
      if (first.state === 'done') return this.checkpoint(instance, claim, first, began, false)
      if (first.state !== 'due') throw refusal(instance, first)
      this.emit({ code: 'step-due', step: id, changes: first.changes })

      if (step.danger === 'reads') {
        if (!step.settle) throw notSo(instance, first.changes)
        await limit.within(step.settle(this.settling(instance, limit, hooks)))
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
        await limit.within(step.apply!(this.writing(instance, limit, hooks)))
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
