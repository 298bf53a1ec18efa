import { showDuration } from '../runbook/duration.ts'
import type { FaultJson } from '../runbook/fault.ts'
import type { LockReport } from './holder.ts'
import type { Report, ReportState } from './report.ts'
import { count, plain, when } from './text.ts'
import { failureWords, modeWords, stateWords } from './words.ts'

/** A step that was begun and is not done. */
export interface StepNow {
  step: string
  title: string
  /** When its effect was announced; absent for a step that only looks. */
  since?: string
  changes: string[]
  /** The last thing that it noted. */
  note?: string
}

/** One run, as far as `recover status` tells it. */
export interface RunStatus {
  run: string
  state: ReportState
  mode?: string
  input?: string
  began?: string
  lastRecord?: string
  done: number
  total: number
  begun: StepNow[]
  /** Titles of steps that no other step holds back: they look or wait for something, or come next. */
  waiting: string[]
  failures: { title: string; fault: FaultJson }[]
  /** Where the journal is damaged. */
  damage?: FaultJson
  /** How to go on, most urgent first. */
  next: string[]
}

/** What is going on now, on this machine. */
export interface Status {
  /** Every lock in the state folder, also those whose holder is no more. */
  locks: LockReport[]
  /** Runs that are going on, and the newest one whatever became of it; oldest first. */
  runs: RunStatus[]
}

/** What matters now of a whole report. */
export function runStatus(report: Report): RunStatus {
  const steps = report.phases.flatMap(p => p.steps)
  const { run, state, mode, input, began, lastRecord } = report
  return {
    run,
    state,
    ...(mode === undefined ? {} : { mode }),
    ...(input === undefined ? {} : { input }),
    ...(began === undefined ? {} : { began }),
    ...(lastRecord === undefined ? {} : { lastRecord }),
    done: steps.filter(s => s.state === 'done').length,
    total: steps.length,
    begun: steps
      .filter(s => s.state === 'begun' || s.state === 'interrupted')
      .map(s => {
        const note = s.notes.at(-1)
        return {
          step: s.step,
          title: s.title,
          ...(s.begunAt === undefined ? {} : { since: s.begunAt }),
          changes: s.changes ?? [],
          ...(note === undefined ? {} : { note }),
        }
      }),
    waiting: steps.filter(s => s.ready).map(s => s.title),
    failures: report.failures.filter(f => f.standing).map(f => ({ title: f.title, fault: f.fault })),
    ...(report.damage ? { damage: report.damage.fault } : {}),
    next: report.remains,
  }
}

/** A status in lines for people. `now` dates what is going on. */
export function showStatus(status: Status, now: Date, timeZone?: string): string[] {
  const lines: string[] = []
  const held = status.locks.filter(l => l.alive !== 'no')
  const known = new Set(status.runs.map(r => r.run))
  for (const lock of held) lines.push(...lockLines(lock, known.has(lock.holder.run), now, timeZone))
  if (held.length === 0) lines.push('No run is going on.')
  for (const run of status.runs) lines.push('', ...runLines(run, now, timeZone))
  if (status.runs.length === 0 && held.length === 0) lines.push('There is no run yet on this machine.')
  return lines.map(line => /^ */.exec(line)?.[0] + plain(line))
}

function lockLines(
  { name, holder, alive }: LockReport,
  known: boolean,
  now: Date,
  timeZone?: string,
): string[] {
  const lines = [
    `${name}: ${holder.user}@${holder.host} (process ${holder.pid}) is at it, "${holder.doing}", since ${when(holder.since, timeZone)}${age(holder.since, now)}`,
  ]
  if (alive === 'unknown')
    lines.push(
      `  Whether that process lives cannot be seen from here; only ${holder.host} can tell. If it is gone for good: recover force-unlock`,
    )
  if (!known)
    lines.push(
      `  Run ${holder.run} has changed nothing yet: it looks at what there is, or waits for somebody to agree`,
    )
  return lines
}

function runLines(run: RunStatus, now: Date, timeZone?: string): string[] {
  const going = run.state === 'running'
  const lines = [
    `Run ${run.run} ${stateWords[run.state]} (${modeWords(run.mode)}); ${run.done} of ${count(run.total, 'known step')} done${
      run.lastRecord === undefined
        ? ''
        : `, last record ${when(run.lastRecord, timeZone)}${age(run.lastRecord, now)}`
    }`,
    ...(run.input === undefined ? [] : [`  ${run.input}`]),
  ]
  if (run.damage) lines.push(`  Damaged: ${run.damage.message}`)
  for (const step of run.begun) {
    const since =
      step.since === undefined
        ? ''
        : `, since ${when(step.since, timeZone)}${going ? age(step.since, now) : ''}`
    lines.push(`  ${going ? 'Under way' : 'Begun and not seen to finish'}: ${step.title}${since}`)
    if (step.changes.length > 0) lines.push(`    to ${step.changes.join('; ')}`)
    if (step.note !== undefined) lines.push(`    last noted: ${step.note}`)
  }
  if (run.waiting.length > 0)
    lines.push(`  ${going ? 'Looking, or waiting for it to come true' : 'Comes next'}: ${few(run.waiting)}`)
  for (const f of run.failures)
    lines.push(`  Failed: ${failureWords(f.title, f.fault.message)} [${f.fault.code}]`)
  for (const item of run.next) lines.push(`  To do: ${item}`)
  return lines
}

function few(titles: string[]): string {
  const shown = titles.slice(0, 5)
  return [...shown, ...(titles.length > shown.length ? [`${titles.length - shown.length} more`] : [])].join(
    '; ',
  )
}

/** ` (4 min 05 s ago)`; nothing where the clocks disagree. */
function age(iso: string, now: Date): string {
  const ms = now.getTime() - Date.parse(iso)
  return Number.isFinite(ms) && ms >= 0 ? ` (${showDuration(ms)} ago)` : ''
}
