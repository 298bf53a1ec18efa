import type { RunEvent, StepFace } from '../runbook/events.ts'
import type { Victim, Warning } from '../runbook/step.ts'
import { oneLine } from './live-fit.ts'

/** `left`: the run ended before this phase was through. */
export type PhaseState = 'waiting' | 'working' | 'done' | 'failed' | 'left'

/** What a step is busy with, as far as its last event tells. */
export type Doing = 'looking' | 'applying' | 'waiting' | 'retrying' | 'consent'

/** A step that has begun and not ended. Times in milliseconds of the view's clock. */
export interface AtWork {
  face: StepFace
  doing: Doing
  beganAt: number
  /** What it waits for, its last note, how far it is; empty when it said nothing yet. */
  text: string
  /** When the wait reaches its limit, or the next attempt begins. */
  until?: number
  /** A person was asked to do something for it. */
  hand: boolean
}

/** How far one phase is. */
export class PhaseProgress {
  readonly id: string
  readonly title: string
  beganAt: number | undefined
  lastAt = 0
  private readonly steps = new Map<string, 'known' | 'done' | 'failed'>()
  private readonly expected = new Map<string, number>()

  constructor(id: string, title: string) {
    this.id = id
    this.title = title
  }

  know(face: StepFace): void {
    if (!this.steps.has(face.id)) this.steps.set(face.id, 'known')
    const name = face.id.replace(/\[.*$/, '')
    this.expected.set(name, Math.max(this.expected.get(name) ?? 0, face.expectedMs))
  }

  settle(id: string, how: 'done' | 'failed'): void {
    this.steps.set(id, how)
  }

  /** Steps known so far; a fan-out whose subjects are not known yet does not count. */
  get total(): number {
    return this.steps.size
  }

  count(how: 'done' | 'failed'): number {
    let count = 0
    for (const state of this.steps.values()) if (state === how) count += 1
    return count
  }

  /** Milliseconds that the phase usually takes: its steps one after the other, each for all its subjects at once. */
  get expectedMs(): number {
    let sum = 0
    for (const ms of this.expected.values()) sum += ms
    return sum
  }

  /** `over`: nothing more will come. `finished`: the engine says that no step is left. */
  state(over: boolean, finished: boolean): PhaseState {
    if (this.count('failed') > 0) return 'failed'
    if (finished || (this.total > 0 && this.count('done') === this.total)) return 'done'
    if (over) return 'left'
    return this.beganAt === undefined ? 'waiting' : 'working'
  }
}

/** What the events of a run add up to. Knows nothing of how it is drawn. */
export class Progress {
  readonly run: string
  readonly runbook: string
  readonly resumed: boolean
  readonly beganAt: number
  readonly phases: PhaseProgress[]
  readonly atWork = new Map<string, AtWork>()
  readonly failures: Extract<RunEvent, { code: 'step-failed' }>[] = []
  /** What a person was asked to do and has, as far as the run can tell, not done: by step. */
  readonly hands = new Map<string, Extract<RunEvent, { code: 'hand-needed' }>>()
  /** What was found that keeps nothing from being done; told whole when the run ends. */
  readonly warnings: Warning[] = []
  /** The last thing said that belongs to no step's row. */
  notice = ''
  stopping: 'after-current' | 'now' | undefined
  ended: Extract<RunEvent, { code: 'run-ended' }> | undefined
  /** Nothing more will come: the run ended, or its view was closed. */
  over = false
  private readonly faces = new Map<string, StepFace>()
  private readonly asked = new Map<string, string>()

  constructor(start: Extract<RunEvent, { code: 'run-started' }>, now: number) {
    this.run = start.run
    this.runbook = start.runbook
    this.resumed = start.resumed
    this.beganAt = now
    this.phases = start.phases.map(p => new PhaseProgress(p.id, oneLine(p.title)))
  }

  /** A person is being asked for consent, or about to be. */
  get asking(): boolean {
    return this.asked.size > 0
  }

  title(step: string): string {
    return oneLine(this.faces.get(step)?.title ?? step)
  }

  /** Takes the next event in; `now` is the view's clock. */
  take(event: RunEvent, now: number): void {
    switch (event.code) {
      case 'steps-known':
        for (const face of event.steps) {
          this.faces.set(face.id, face)
          this.phaseOf(face.id)?.know(face)
        }
        break
      case 'step-looking':
        this.work(event.step, now, { doing: 'looking', text: '' })
        break
      case 'step-applying':
        this.work(event.step, now, {
          doing: 'applying',
          text: event.attempt > 1 ? `attempt ${event.attempt}` : '',
        })
        break
      case 'step-note':
        this.work(event.step, now, { doing: 'applying', text: event.text })
        break
      case 'step-progress':
        this.work(event.step, now, {
          doing: 'applying',
          text: `${event.done} of ${event.total} ${event.unit}`,
        })
        break
      case 'step-waiting':
        this.work(event.step, now, {
          doing: 'waiting',
          text: `waiting for ${event.what}`,
          until: now + event.limitMs,
        })
        break
      case 'step-retrying':
        this.work(event.step, now, {
          doing: 'retrying',
          text: `${event.fault.message}; attempt ${event.attempt + 1} of ${event.of}`,
          until: now + event.delayMs,
        })
        break
      case 'step-moved':
      case 'step-repeating':
        this.notice = `${this.title(event.step)}: ${oneLine(event.because)}`
        break
      case 'hand-needed': {
        this.hands.set(event.step, event)
        const { doing = 'applying', text = '' } = this.atWork.get(event.step) ?? {}
        this.work(event.step, now, { doing, text, hand: true })
        break
      }
      case 'consent-needed':
        this.asked.set(event.step, names(event.victims))
        this.work(event.step, now, { doing: 'consent', text: 'needs your consent' })
        break
      case 'consent-given':
        this.answer(names(event.victims), now)
        this.notice = `${oneLine(event.by)} agreed to destroying ${names(event.victims)}`
        break
      case 'step-done':
        this.settle(event.step, 'done', now)
        this.warnings.push(...(event.warnings ?? []))
        break
      case 'step-failed':
        this.settle(event.step, 'failed', now)
        this.failures.push(event)
        break
      case 'notice':
        this.notice = oneLine(event.text)
        break
      case 'run-stopping':
        this.stopping = event.how
        break
      case 'run-ended':
        this.ended = event
        this.close()
        break
    }
  }

  /** Ends the run's progress where it stands. */
  close(): void {
    this.over = true
    this.atWork.clear()
    this.asked.clear()
  }

  private work(step: string, now: number, what: Pick<AtWork, 'doing' | 'text' | 'until'> & { hand?: true }) {
    const before = this.atWork.get(step)
    const face = this.faces.get(step) ?? {
      id: step,
      phase: step.replace(/\/.*$/s, ''),
      title: step,
      danger: 'changes',
      expectedMs: 0,
    }
    this.atWork.set(step, {
      ...what,
      face,
      text: oneLine(what.text),
      beganAt: before?.beganAt ?? now,
      hand: what.hand ?? this.hands.has(step),
      ...(what.hand && before?.until !== undefined ? { until: before.until } : {}),
    })
    this.touch(step, now)
  }

  private settle(step: string, how: 'done' | 'failed', now: number): void {
    this.touch(step, now)
    this.phaseOf(step)?.settle(step, how)
    this.atWork.delete(step)
    this.asked.delete(step)
    // What a person was asked to do and nobody did is most likely why it failed.
    if (how === 'done') this.hands.delete(step)
  }

  /** The answer names no step, but exactly the victims of one question. */
  private answer(victims: string, now: number): void {
    for (const [step, asked] of this.asked)
      if (asked === victims) {
        this.asked.delete(step)
        this.work(step, now, { doing: 'looking', text: '' })
        return
      }
  }

  private touch(step: string, now: number): void {
    const phase = this.phaseOf(step)
    if (!phase) return
    phase.beganAt ??= now
    phase.lastAt = now
  }

  private phaseOf(step: string): PhaseProgress | undefined {
    const id = this.faces.get(step)?.phase ?? step.replace(/\/.*$/s, '')
    return this.phases.find(p => p.id === id)
  }
}

function names(victims: Victim[]): string {
  return victims.map(v => oneLine(`${v.kind} ${v.name}`)).join(', ')
}
