import type { DoneHow, RunState } from '../runbook/events.ts'
import type { FaultJson } from '../runbook/fault.ts'
import type { JournalRecord } from '../runbook/replay.ts'
import type { Victim, Warning } from '../runbook/step.ts'
import type { Damage, RunRecords } from './source.ts'
import { covered, type Part, type Story, type Trace, tell } from './story.ts'
import { titleFromId } from './text.ts'
import { type VolumeReport, volumesOf } from './volumes.ts'
import { whatRemains } from './what-remains.ts'

/** `interrupted`: its process was killed or lost its machine. `damaged`: the journal can be believed only in part. */
export type ReportState = RunState | 'running' | 'interrupted' | 'damaged'

/**
 * `begun`: announced and going on now. `interrupted`: announced by a process that ended before the result was seen.
 * `ahead`: not come to yet.
 */
export type StepState = 'done' | 'failed' | 'begun' | 'interrupted' | 'ahead'

export interface StepReport {
  step: string
  title: string
  state: StepState
  how?: DoneHow
  evidence?: string
  /** Milliseconds of all attempts whose end was recorded. */
  tookMs: number
  /** Effects that were announced; 0 where looking was enough. */
  attempts: number
  /** When the last effect was announced, and what it was to change. */
  begunAt?: string
  changes?: string[]
  notes: string[]
  /**
   * Not done though all that it needs is. While the run goes on it looks or waits, of which no journal tells; after that
   * it is what comes next.
   */
  ready?: true
}

export interface PhaseReport {
  id: string
  title: string
  done: number
  /** Steps that are known; a fan-out not yet looked up counts as one. */
  total: number
  /** Milliseconds of the wall clock during which any of its steps was worked on. */
  elapsedMs: number
  /** Milliseconds of its steps added up; more than `elapsedMs` where they ran side by side. */
  workMs: number
  steps: StepReport[]
}

export interface ConsentReport {
  at: string
  by: string
  how: 'typed' | 'plan' | 'rehearsed'
  /** Hash of the approved plan. */
  plan?: string
  /** `begun`: a step announced that it would destroy it. False for what was agreed to and left alone. */
  victims: (Victim & { begun: boolean })[]
}

export interface FailureReport {
  step: string
  title: string
  at: string
  fault: FaultJson
  /** Not seen to be done since. */
  standing: boolean
}

/** What a step found that kept nothing from being done. */
export type WarningReport = { step: string; title: string } & Warning

/** Something that a smooth run does not have. */
export interface Happening {
  kind: 'killed' | 'torn-tail' | 'moved' | 'repeated' | 'accepted' | 'plan-unreadable'
  at?: string
  step?: string
  text: string
}

/** A run as its journal tells it. Times are milliseconds; points in time are of the wall clock, for people. */
export interface Report {
  run: string
  folder: string
  state: ReportState
  runbook?: string
  /** `real` or `rehearsal`. */
  mode?: string
  /** The cluster file. */
  input?: string
  began?: string
  /** When its last process ended; absent while it goes on and where a process was killed. */
  ended?: string
  lastRecord?: string
  /** What its processes worked together. */
  workedMs: number
  /** False where a killed process could not say how long it worked. */
  workedMeasured: boolean
  processes: Part[]
  phases: PhaseReport[]
  /** Steps that were not done when the last process ended. */
  left?: number
  volumes: VolumeReport[]
  /** Disks of the NAS that no claim owns. */
  ownerlessDisks: string[]
  consents: ConsentReport[]
  failures: FailureReport[]
  warnings: WarningReport[]
  happenings: Happening[]
  damage?: Damage
  /** What a person still has to do, most urgent first. */
  remains: string[]
}

/**
 * Tells a run from what it left behind. `goingOn` says whether a living process holds the lock for it: the journal of
 * one that was killed looks the same.
 */
export function reportOf(found: RunRecords, goingOn: boolean): Report {
  const source = titled(found)
  const { records, damage } = source
  const story = tell(records)
  const [first] = records
  const began = first?.kind === 'run-began' ? first : undefined
  const end = endOf(records)
  const state = stateOf(source, goingOn, end)
  const failures = failuresOf(source, story, state)
  const standing = new Map(failures.filter(f => f.standing).map(f => [f.step, f.fault]))
  const phases = phasesOf(source, story, state, new Set(standing.keys()))
  const lastRecord = story.parts.at(-1)?.lastRecord
  const facts = {
    run: source.run,
    folder: source.folder,
    state,
    ...(began ? { runbook: began.runbook, mode: began.mode, input: began.input, began: began.at } : {}),
    ...(end && state !== 'running' ? { ended: end.at } : {}),
    ...(lastRecord === undefined ? {} : { lastRecord }),
    workedMs: story.parts.reduce((sum, p) => sum + p.tookMs, 0),
    workedMeasured: story.parts.every(p => p.measured),
    processes: story.parts,
    phases,
    ...(end && state !== 'running' ? { left: end.left } : {}),
    ...volumesOf(story, state === 'finished', standing),
    consents: consentsOf(records),
    failures,
    warnings: warningsOf(source, story),
    happenings: happeningsOf(source, story, state),
    ...(damage ? { damage } : {}),
  }
  return { ...facts, remains: whatRemains(facts, lastOutput(story, 'proof/what-remains')) }
}

/** What a run left behind, and what its steps are called. */
type Titled = RunRecords & { title: (step: string) => string }

/** The plan's titles, and one made from the id for what the plan did not know. */
function titled(source: RunRecords): Titled {
  const titles = new Map(source.plan?.entries.map(e => [e.step, e.title]) ?? [])
  return { ...source, title: step => titles.get(step) ?? titleFromId(step) }
}

type Ended = Extract<JournalRecord, { kind: 'ended' }>

/** How the last process ended; undefined when it did not say. */
function endOf(records: readonly JournalRecord[]): Ended | undefined {
  const last = records.findLast(r => r.kind === 'ended' || r.kind === 'resumed')
  return last?.kind === 'ended' ? last : undefined
}

function stateOf(source: RunRecords, goingOn: boolean, end: Ended | undefined): ReportState {
  if (source.damage) return 'damaged'
  if (end?.state === 'finished') return 'finished'
  if (goingOn) return 'running'
  return end?.state ?? 'interrupted'
}

function failuresOf(source: Titled, story: Story, state: ReportState): FailureReport[] {
  const found: (FailureReport & { seq: number })[] = []
  const lastPart = story.parts.length - 1
  const ended = story.parts.at(-1)?.state !== undefined
  for (const trace of story.traces.values()) {
    const last = trace.failures.at(-1)
    for (const failure of trace.failures) {
      const after = (seqs: { seq: number }[]) => (seqs.at(-1)?.seq ?? 0) > failure.seq
      // A look that finds what an earlier one found leaves no record: an older failure stands only where the last process
      // did not live to look again.
      const outdated = failure.part !== lastPart && (ended || state === 'running')
      const standing =
        failure === last &&
        state !== 'finished' &&
        !outdated &&
        !after(trace.checkpoints) &&
        !after(trace.intents)
      const { seq, at, fault } = failure
      found.push({ seq, step: trace.step, title: source.title(trace.step), at, fault, standing })
    }
  }
  return found.sort((a, b) => a.seq - b.seq).map(({ seq: _, ...failure }) => failure)
}

/** As each step last found them. */
function warningsOf(source: Titled, story: Story): WarningReport[] {
  return [...story.traces.values()].flatMap(({ step, checkpoints }) =>
    (checkpoints.at(-1)?.warnings ?? []).map(warning => ({ step, title: source.title(step), ...warning })),
  )
}

function phasesOf(
  source: Titled,
  story: Story,
  state: ReportState,
  failed: ReadonlySet<string>,
): PhaseReport[] {
  const [first] = source.records
  const bases = first?.kind === 'run-began' ? Object.keys(first.stepHashes) : []
  const planned = (source.plan?.entries ?? []).map(e => e.step)
  const known = new Set([...planned.filter(s => !s.endsWith('[?]')), ...story.traces.keys()])
  const expanded = new Set([...known].map(baseOf))
  // Fan-outs not looked up yet, and steps of which neither plan nor journal tells.
  for (const step of [...planned, ...bases]) if (!expanded.has(baseOf(step))) known.add(step)
  for (const base of bases) if (known.has(`${base}[?]`)) known.delete(base)
  const order = new Map(bases.map((base, i) => [base, i]))
  const place = (step: string) => order.get(baseOf(step)) ?? order.size
  const phases = new Map<string, StepReport[]>()
  for (const phase of source.plan?.phases ?? []) phases.set(phase.id, [])
  for (const step of [...known].sort((a, b) => place(a) - place(b))) {
    const report = stepReport(source, story, step, state, failed.has(step))
    // A finished run has come to everything; what it never came to was dropped from it.
    if (state === 'finished' && report.state === 'ahead') continue
    const id = step.slice(0, Math.max(0, step.indexOf('/')))
    phases.set(id, [...(phases.get(id) ?? []), report])
  }
  if (state !== 'finished') markReady(source, [...phases.values()].flat())
  return [...phases]
    .filter(([, steps]) => steps.length > 0)
    .map(([id, steps]) => {
      const traces = steps.flatMap(s => story.traces.get(s.step) ?? [])
      return {
        id,
        title: source.plan?.phases.find(p => p.id === id)?.title ?? titleFromId(id),
        done: steps.filter(s => s.state === 'done').length,
        total: steps.length,
        elapsedMs: covered(traces.flatMap(t => t.spans)),
        workMs: steps.reduce((sum, s) => sum + s.tookMs, 0),
        steps,
      }
    })
}

function stepReport(
  source: Titled,
  story: Story,
  step: string,
  state: ReportState,
  failed: boolean,
): StepReport {
  const trace = story.traces.get(step)
  const report: StepReport = {
    step,
    title: source.title(step),
    state: 'ahead',
    tookMs: 0,
    attempts: 0,
    notes: [],
  }
  if (!trace) return report
  const intent = trace.intents.at(-1)
  const checkpoint = trace.checkpoints.at(-1)
  report.tookMs = [...trace.checkpoints, ...trace.failures].reduce((sum, r) => sum + r.tookMs, 0)
  report.attempts = trace.intents.length
  report.notes = trace.notes.map(n => n.text)
  const live = state === 'running' && story.parts.at(-1)?.state === undefined
  report.state = stepState(trace, live, story.parts.length - 1, failed)
  if (report.state === 'done' && checkpoint) {
    report.how = checkpoint.how
    report.evidence = checkpoint.evidence
  }
  if (intent) {
    report.begunAt = intent.at
    report.changes = intent.changes
  }
  return report
}

/** `live`: the last process of the run is at it now. */
function stepState(trace: Trace, live: boolean, lastPart: number, failed: boolean): StepState {
  if (failed) return 'failed'
  const intent = trace.intents.at(-1)
  const seen = trace.checkpoints.at(-1)?.seq ?? 0
  if (seen > 0 && seen > (intent?.seq ?? 0)) return 'done'
  if (intent) return live && intent.part === lastPart ? 'begun' : 'interrupted'
  // A step that only looks announces nothing; what it notes while it waits shows that it is at it.
  return live && trace.notes.some(n => n.part === lastPart) ? 'begun' : 'ahead'
}

/** Marks what no longer waits for another step, by the plan's needs. */
function markReady(source: RunRecords, steps: StepReport[]): void {
  const needs = new Map(source.plan?.entries.map(e => [e.step, e.needs]) ?? [])
  const byBase = new Map<string, StepReport[]>()
  for (const step of steps) {
    const base = baseOf(step.step)
    byBase.set(base, [...(byBase.get(base) ?? []), step])
  }
  for (const step of steps) {
    const own = needs.get(step.step)
    if (step.state !== 'ahead' || own === undefined || step.step.endsWith('[?]')) continue
    const key = step.step.slice(baseOf(step.step).length)
    const met = own.every(need => {
      const instances = byBase.get(need) ?? []
      const same = instances.filter(i => key !== '' && i.step === `${need}${key}`)
      return (same.length > 0 ? same : instances).every(i => i.state === 'done')
    })
    if (met) step.ready = true
  }
}

function consentsOf(records: readonly JournalRecord[]): ConsentReport[] {
  return records
    .filter(r => r.kind === 'consent')
    .map(({ seq, at, by, how, plan, victims }) => ({
      at,
      by,
      how,
      ...(plan === undefined ? {} : { plan }),
      victims: victims.map(victim => ({
        ...victim,
        begun: records.some(
          r =>
            r.kind === 'intent' &&
            r.seq > seq &&
            (r.victims ?? []).some(v => v.kind === victim.kind && v.name === victim.name),
        ),
      })),
    }))
}

function happeningsOf(source: Titled, story: Story, state: ReportState): Happening[] {
  const found: Happening[] = []
  for (const [i, part] of story.parts.entries()) {
    if (part.accepted.length > 0)
      found.push({
        kind: 'accepted',
        at: part.began,
        text: `${part.by} went on although this had changed since the run began: ${part.accepted.join(', ')}`,
      })
    if (part.state !== undefined || (i === story.parts.length - 1 && state === 'running')) continue
    found.push({
      kind: 'killed',
      at: part.lastRecord,
      text: `The process of ${part.by} ended without a word: it was killed, or lost its machine`,
    })
  }
  for (const record of source.records)
    if (record.kind === 'torn-tail')
      found.push({ kind: 'torn-tail', at: record.at, text: tornText(record.bytes) })
    else if (record.kind === 'moved')
      found.push({
        kind: 'moved',
        at: record.at,
        step: record.step,
        text: `${source.title(record.step)} had to be done again: ${record.because}`,
      })
  for (const trace of story.traces.values())
    for (const { at, after } of trace.repeats)
      found.push({
        kind: 'repeated',
        at,
        step: trace.step,
        text: `${source.title(trace.step)} was begun again: ${
          after === 'failure'
            ? 'an earlier attempt had failed'
            : 'an earlier attempt was never seen to finish'
        }`,
      })
  // A record that is being written right now looks like one that a crash cut short.
  if (source.tornBytes > 0 && state !== 'running')
    found.push({ kind: 'torn-tail', text: tornText(source.tornBytes) })
  if (source.planProblem !== undefined)
    found.push({
      kind: 'plan-unreadable',
      text: `${source.planProblem}; titles are made from the steps’ names instead`,
    })
  return found.sort((a, b) => (a.at ?? '~').localeCompare(b.at ?? '~'))
}

function tornText(bytes: number): string {
  return `The journal ended in the middle of a line, as after a crash; those ${bytes} bytes are not counted as a record`
}

function lastOutput(story: Story, step: string): unknown {
  return story.traces.get(step)?.checkpoints.at(-1)?.output
}

function baseOf(step: string): string {
  const bracket = step.indexOf('[')
  return bracket === -1 ? step : step.slice(0, bracket)
}
