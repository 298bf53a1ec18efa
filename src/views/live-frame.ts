import { showDuration } from '../runbook/duration.ts'
import { marks, paint } from './ink.ts'
import { clip, fold, oneLine, widthOf } from './live-fit.ts'
import type { AtWork, PhaseProgress, PhaseState, Progress } from './live-progress.ts'

/** A phase as it is to be drawn: the state comes from the list that the view keeps of them. */
export interface PhaseRow {
  phase: PhaseProgress
  title: string
  state: PhaseState
}

export interface FrameOptions {
  /** The view's clock, milliseconds. */
  now: number
  columns: number
  /** The most rows that the frame may take. */
  rows: number
  colour: boolean
}

/** How much of what goes on is shown; each level needs fewer rows than the one before. */
interface Detail {
  steps: number
  hands: number
  failures: number
  /** Lines for one text. */
  lines: number
  notice: boolean
  /** Phases that are over, and those to come, share a row each. */
  folded: boolean
}

const details: Detail[] = [
  { steps: 6, hands: 3, failures: 3, lines: 3, notice: true, folded: false },
  { steps: 5, hands: 3, failures: 2, lines: 2, notice: true, folded: false },
  { steps: 4, hands: 2, failures: 2, lines: 2, notice: false, folded: false },
  { steps: 3, hands: 2, failures: 1, lines: 2, notice: false, folded: false },
  { steps: 2, hands: 1, failures: 1, lines: 2, notice: false, folded: false },
  { steps: 2, hands: 1, failures: 1, lines: 1, notice: false, folded: true },
  { steps: 1, hands: 1, failures: 1, lines: 1, notice: false, folded: true },
  { steps: 0, hands: 1, failures: 1, lines: 1, notice: false, folded: true },
]

/** What the screen shows while a run goes on: phases, the steps at work, and whatever a person must know. */
export function drawFrame(progress: Progress, phases: PhaseRow[], options: FrameOptions): string[] {
  let rows: string[] = []
  for (const detail of details) {
    rows = new Frame(progress, options).whole(phases, detail)
    if (rows.length <= options.rows) return rows
  }
  // On a screen of a few rows what matters stands at the end: what a person has to do.
  return options.rows > 1 ? [rows[0]!, ...rows.slice(1 - options.rows)] : rows.slice(0, 1)
}

/** What stays on the screen when the run has ended: one row a phase. */
export function drawEnd(progress: Progress, phases: PhaseRow[], options: FrameOptions): string[] {
  return new Frame(progress, options).end(phases)
}

class Frame {
  private readonly progress: Progress
  private readonly now: number
  private readonly columns: number
  private readonly ink: ReturnType<typeof paint>

  constructor(progress: Progress, options: FrameOptions) {
    this.progress = progress
    this.now = options.now
    // The last column stays free: terminals differ in what a character there does to the next line.
    this.columns = options.columns - 1
    this.ink = paint(options.colour)
  }

  whole(phases: PhaseRow[], detail: Detail): string[] {
    const shown = this.choose(detail.steps)
    const widths = this.widths(phases)
    const rows = [this.heading()]
    const over = phases.filter(p => p.state === 'done')
    const later = phases.filter(p => p.state === 'waiting')
    const foldOver = detail.folded && over.length > 1
    const foldLater = detail.folded && later.length > 1
    if (foldOver) rows.push(this.together(this.ink.green(marks.done), over))
    for (const row of phases) {
      if (foldOver && row.state === 'done') continue
      if (foldLater && row.state === 'waiting') continue
      rows.push(this.phase(row, widths))
      const busy = [...this.progress.atWork.values()].filter(w => w.face.phase === row.phase.id)
      const listed = busy.filter(w => shown.has(w))
      for (const work of listed) rows.push(this.step(work))
      const hidden = busy.length - listed.length
      if (hidden > 0)
        rows.push(
          this.ink.dim(clip(`      ${hidden} ${listed.length > 0 ? 'more ' : ''}at work`, this.columns)),
        )
    }
    if (foldLater) rows.push(this.together(this.ink.dim(marks.waits), later))
    rows.push(...this.failures(detail), ...this.hands(detail))
    const beware = this.progress.warnings.at(-1)
    if (detail.notice && beware) {
      const more = this.progress.warnings.length - 1
      const others = more > 0 ? `, and ${more} more at the end` : ''
      rows.push(
        `${this.ink.yellow(marks.warning)} ${clip(`${oneLine(beware.message)} [${beware.code}]${others}`, this.columns - 2)}`,
      )
    }
    if (detail.notice && this.progress.notice !== '')
      rows.push(this.ink.dim(clip(`${marks.note} ${this.progress.notice}`, this.columns)))
    return rows
  }

  end(phases: PhaseRow[]): string[] {
    const widths = this.widths(phases)
    return [this.heading(), ...phases.map(row => this.phase(row, widths))]
  }

  private heading(): string {
    const { run, runbook, resumed, stopping, ended, beganAt, phases } = this.progress
    const total = phases.reduce((sum, p) => sum + p.total, 0)
    const done = phases.reduce((sum, p) => sum + p.count('done'), 0)
    const name = `${resumed ? 'Resumed run' : 'Run'} ${oneLine(run)} (${oneLine(runbook)})`
    const parts = [`${done} of ${total} steps`, seconds(this.now - beganAt)]
    if (stopping && !ended)
      parts.push(stopping === 'now' ? 'stopping at once' : 'stopping after what is going on; again: at once')
    const tail = `  ${parts.join(', ')}`
    return this.ink.bold(clip(name, this.columns - widthOf(tail))) + clip(tail, this.columns)
  }

  private widths(phases: PhaseRow[]) {
    const most = (texts: string[]) => Math.max(0, ...texts.map(widthOf))
    return {
      title: Math.min(most(phases.map(p => p.title)), Math.max(8, Math.floor(this.columns / 3))),
      steps: most(phases.map(p => stepsOf(p))),
    }
  }

  private phase(row: PhaseRow, widths: { title: number; steps: number }): string {
    const title = clip(row.title, widths.title)
    const text =
      `${pad(title, widths.title)}  ${pad(stepsOf(row), widths.steps)}  ${this.times(row)}`.trimEnd()
    const rest = clip(text, this.columns - 2).slice(title.length)
    const { ink } = this
    switch (row.state) {
      case 'done':
        return `${ink.green(marks.done)} ${title}${ink.dim(rest)}`
      case 'failed':
        return `${ink.red(marks.failed)} ${ink.bold(title)}${rest}`
      case 'working':
        return `${marks.works} ${ink.bold(title)}${rest}`
      case 'left':
      case 'waiting':
        return ink.dim(`${marks.waits} ${title}${rest}`)
    }
  }

  private times({ phase, state }: PhaseRow): string {
    const expected = phase.expectedMs > 0 ? `about ${seconds(phase.expectedMs)}` : ''
    if (phase.beganAt === undefined) return expected
    const idle = ![...this.progress.atWork.values()].some(w => w.face.phase === phase.id)
    const over = state === 'done' || state === 'left' || (state === 'failed' && idle)
    const elapsed = seconds((over ? phase.lastAt : this.now) - phase.beganAt)
    return expected === '' ? elapsed : over ? `${elapsed} (${expected})` : `${elapsed} of ${expected}`
  }

  /** Several phases in one row. */
  private together(mark: string, phases: PhaseRow[]): string {
    const text = clip(phases.map(p => p.title).join(', '), this.columns - 2)
    return `${mark} ${this.ink.dim(text)}`
  }

  /** The steps worth a row: those that want a person, then those that wait, then the oldest. */
  private choose(most: number): Set<AtWork> {
    const rank = (w: AtWork) =>
      w.hand || w.doing === 'consent' ? 0 : w.until !== undefined ? 1 : w.doing === 'applying' ? 2 : 3
    const sorted = [...this.progress.atWork.values()].sort(
      (a, b) => rank(a) - rank(b) || a.beganAt - b.beganAt,
    )
    return new Set(sorted.slice(0, most))
  }

  private step(work: AtWork): string {
    const { face, doing, until, text, beganAt } = work
    const left = until === undefined ? undefined : until - this.now
    let tail: string
    if (doing === 'retrying') tail = left! > 0 ? `, in ${seconds(left!, 'up')}` : ''
    else if (left !== undefined) tail = left > 0 ? `, ${seconds(left, 'up')} left` : ', at its limit'
    else if (doing === 'consent') tail = ''
    else
      tail = `, ${seconds(this.now - beganAt)}${doing !== 'looking' && face.expectedMs > 0 ? ` of about ${seconds(face.expectedMs)}` : ''}`
    const said = text || (doing === 'looking' ? 'looking' : '')
    const body = `${oneLine(face.title)}${said === '' ? '' : `: ${said}`}`
    // The text is cut, never the countdown.
    const room = this.columns - 6
    const line = clip(clip(body, Math.max(0, room - widthOf(tail))) + tail, room)
    if (work.hand || doing === 'consent') return `    ${this.ink.yellow(marks.hand)} ${line}`
    if (left !== undefined) return `    ${marks.waits} ${line}`
    return doing === 'looking' ? this.ink.dim(`    ${marks.note} ${line}`) : `    ${marks.works} ${line}`
  }

  private failures(detail: Detail): string[] {
    const { failures } = this.progress
    const rows: string[] = []
    for (const { step, fault } of failures.slice(0, detail.failures)) {
      const what = `${this.progress.title(step)}: ${oneLine(fault.message)} [${fault.code}]`
      rows.push(...this.text(this.ink.red(marks.failed), what, detail.lines))
      rows.push(...this.text(' ', `What to do: ${oneLine(fault.remedy)}`, detail.lines))
    }
    const more = failures.slice(detail.failures).map(f => this.progress.title(f.step))
    if (more.length > 0)
      rows.push(...this.text(this.ink.red(marks.failed), `${more.length} more failed: ${more.join(', ')}`, 1))
    return rows
  }

  private hands(detail: Detail): string[] {
    const hands = [...this.progress.hands.values()]
    const mark = this.ink.yellow(marks.hand)
    const rows = hands
      .slice(0, detail.hands)
      .flatMap(h => this.text(mark, oneLine(h.text), Math.max(2, detail.lines)))
    const more = hands.slice(detail.hands).map(h => oneLine(h.subject) || this.progress.title(h.step))
    if (more.length > 0) rows.push(...this.text(mark, `${more.length} more need you: ${more.join(', ')}`, 1))
    return rows
  }

  private text(mark: string, text: string, most: number): string[] {
    return fold(text, this.columns - 2, most).map((line, i) => `${i === 0 ? mark : ' '} ${line}`)
  }
}

function stepsOf({ phase, state }: PhaseRow): string {
  const { total } = phase
  if (total === 0)
    return state === 'waiting' ? 'not known yet' : state === 'left' ? 'not begun' : 'nothing to do'
  return `${phase.count('done')} of ${total} step${total === 1 ? '' : 's'}`
}

/** Whole seconds, since what is drawn anew all the time should not flicker; a countdown rounds up and ends with its limit. */
function seconds(ms: number, round: 'up' | 'down' = 'down'): string {
  const whole = Math.max(0, round === 'up' ? Math.ceil(ms / 1_000) : Math.floor(ms / 1_000))
  return whole < 60 ? `${whole} s` : showDuration(whole * 1_000).replace(' 00 s', '')
}

function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)))
}
