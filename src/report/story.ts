import type { DoneHow, RunState } from '../runbook/events.ts'
import type { FaultJson } from '../runbook/fault.ts'
import type { JournalRecord } from '../runbook/replay.ts'
import type { Warning } from '../runbook/step.ts'

/** One process's part of a run. */
export interface Part {
  by: string
  /** Version of the program. */
  program: string
  /** Wall clock, ISO 8601, for people. */
  began: string
  /** When its last record was written. */
  lastRecord: string
  /** How it ended; absent when it is going on or was killed. */
  state?: RunState
  tookMs: number
  /** False where the process did not live to say how long it worked: then it is the time up to its last record. */
  measured: boolean
  /** What changed since the run began and was accepted on resuming. */
  accepted: string[]
}

/** What the journal tells of one step instance, in order. */
export interface Trace {
  step: string
  intents: { seq: number; at: string; part: number; attempt: number; changes: string[] }[]
  checkpoints: {
    seq: number
    at: string
    how: DoneHow
    output: unknown
    evidence: string
    tookMs: number
    warnings?: Warning[]
  }[]
  failures: { seq: number; at: string; part: number; fault: FaultJson; tookMs: number }[]
  notes: { part: number; at: string; text: string }[]
  /** Attempts that a later process made because an earlier one's came to nothing: it failed, or just ended. */
  repeats: { at: string; after: 'failure' | 'silence' }[]
  /** When it was worked on, milliseconds of the wall clock. */
  spans: Span[]
}

export interface Span {
  from: number
  to: number
}

/** A journal told by processes and by steps. */
export interface Story {
  parts: Part[]
  traces: Map<string, Trace>
}

/** Folds records into parts and traces. Records of kinds that this version does not know are passed over. */
export function tell(records: readonly JournalRecord[]): Story {
  const parts: Part[] = []
  const traces = new Map<string, Trace>()
  // Attempts that were announced and have no result yet, by step: since when.
  const open = new Map<string, number>()
  const trace = (step: string): Trace => {
    const known = traces.get(step) ?? {
      step,
      intents: [],
      checkpoints: [],
      failures: [],
      notes: [],
      repeats: [],
      spans: [],
    }
    traces.set(step, known)
    return known
  }
  const settle = (step: string, at: string, tookMs: number): void => {
    open.delete(step)
    const to = Date.parse(at)
    trace(step).spans.push({ from: to - tookMs, to })
  }
  /** A process that was killed or stopped left attempts without a result: they lasted at least until its last record. */
  const abandon = (): void => {
    const last = parts.at(-1)
    if (last)
      for (const [step, from] of open) trace(step).spans.push({ from, to: Date.parse(last.lastRecord) })
    open.clear()
  }
  for (const record of records) {
    if (record.kind === 'run-began' || record.kind === 'resumed') {
      abandon()
      parts.push({
        by: record.by,
        program: record.program,
        began: record.at,
        lastRecord: record.at,
        tookMs: 0,
        measured: false,
        accepted: record.kind === 'resumed' ? record.accepted : [],
      })
      continue
    }
    // The next process writes it before it says that it resumed.
    if (record.kind === 'torn-tail') continue
    const part = parts.at(-1)
    if (!part) continue
    part.lastRecord = record.at
    if (!part.measured) part.tookMs = Math.max(0, Date.parse(record.at) - Date.parse(part.began))
    const place = { seq: record.seq, at: record.at, part: parts.length - 1 }
    switch (record.kind) {
      case 'intent': {
        const own = trace(record.step)
        const { attempt, changes } = record
        const before = own.intents.at(-1)
        const seen = own.checkpoints.at(-1)?.seq ?? 0
        if (before && before.part !== place.part && before.seq > seen) {
          const failed = (own.failures.at(-1)?.seq ?? 0) > before.seq
          own.repeats.push({ at: record.at, after: failed ? 'failure' : 'silence' })
        }
        own.intents.push({ ...place, attempt, changes })
        if (!open.has(record.step)) open.set(record.step, Date.parse(record.at))
        break
      }
      case 'checkpoint': {
        const { how, output, evidence, tookMs, warnings } = record
        const beside = warnings ? { warnings } : {}
        trace(record.step).checkpoints.push({ ...place, how, output, evidence, tookMs, ...beside })
        settle(record.step, record.at, tookMs)
        break
      }
      case 'failed':
        trace(record.step).failures.push({ ...place, fault: record.fault, tookMs: record.tookMs })
        settle(record.step, record.at, record.tookMs)
        break
      case 'note':
        trace(record.step).notes.push({ part: place.part, at: record.at, text: record.text })
        break
      case 'ended':
        part.state = record.state
        part.tookMs = record.tookMs
        part.measured = true
        break
    }
  }
  abandon()
  return { parts, traces }
}

/** Milliseconds during which at least one of the spans was going on: steps run side by side. */
export function covered(spans: readonly Span[]): number {
  let total = 0
  let end = Number.NEGATIVE_INFINITY
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    if (to <= end) continue
    total += to - Math.max(from, end)
    end = to
  }
  return Math.round(total)
}
