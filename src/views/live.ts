import type { RunEvent } from '../runbook/events.ts'
import { linesView } from './lines.ts'
import { drawEnd, drawFrame, type FrameOptions } from './live-frame.ts'
import { Phases } from './live-phases.ts'
import { Progress } from './live-progress.ts'
import { Painter, type Screen } from './live-screen.ts'
import type { View } from './view.ts'

/** The time that a live view goes by. */
export interface Clock {
  /** Milliseconds, never going back. */
  now(): number
  /** Calls `action` again and again; returns what stops it. Must not keep the process alive. */
  every(ms: number, action: () => void): () => void
}

export interface LiveOptions {
  clock?: Clock
}

/** The most rows a frame takes, however large the window: more cannot be read at a glance. */
const mostRows = 29
/** Time between frames, milliseconds. Events only change what the next one shows: a burst of them costs nothing. */
const frameMs = 200
/** Failures that are told in full at the end; the report has all of them. */
const failuresInFull = 4

const realClock: Clock = {
  now: () => performance.now(),
  every(ms, action) {
    const timer = setInterval(action, ms).unref()
    return () => clearInterval(timer)
  },
}

/**
 * One row a phase, drawn over itself while the run goes on: under those that work the steps at work with what each
 * waits for and how long yet, below them failures and what a person must do. At the end the phases stay on the screen,
 * followed by what the `lines` view says of the end. While a person is asked for consent nothing is drawn.
 *
 * Never throws: when drawing fails, the `lines` view goes on in its place.
 */
export function liveView(screen: Screen, options: LiveOptions = {}): View {
  let current: LiveRun | undefined
  const plain = linesView(screen)
  return {
    event(event) {
      try {
        if (event.code === 'run-started')
          current = new LiveRun(event, screen, options.clock ?? realClock, current?.close())
        else if (current) current.event(event)
        else plain.event(event)
      } catch {
        // Neither the frame nor lines could be written: the screen is gone, the recovery goes on.
      }
    },
    async close() {
      await current?.close()
    },
  }
}

class LiveRun {
  private readonly progress: Progress
  private readonly screen: Screen
  private readonly painter: Painter
  private readonly clock: Clock
  /** What the `lines` view must have heard to tell the rest. */
  private readonly known: RunEvent[]
  private readonly loading: Promise<void>
  private phases: Phases | undefined
  private stopClock: (() => void) | undefined
  private endDrawn = false
  /** Set once drawing has failed. */
  private instead: View | undefined

  /** `before`: the end of what this view drew before, if anything. */
  constructor(
    start: Extract<RunEvent, { code: 'run-started' }>,
    screen: Screen,
    clock: Clock,
    before: Promise<void> | undefined,
  ) {
    this.screen = screen
    this.clock = clock
    this.painter = new Painter(screen)
    this.progress = new Progress(start, clock.now())
    this.known = [start]
    this.loading = this.load(before)
  }

  event(event: RunEvent): void {
    if (event.code === 'steps-known' || (event.code === 'step-done' && event.warnings)) this.known.push(event)
    if (this.instead) this.instead.event(event)
    else if (this.endDrawn) this.lines().event(event)
    else
      this.guard(() => {
        this.progress.take(event, this.clock.now())
        // The question is asked right after this event, and whoever asks writes to the same screen.
        if (this.progress.asking) this.painter.erase()
        if (event.code === 'step-table' && !this.progress.asking) {
          this.painter.erase()
          this.lines().event(event)
        }
        if (this.progress.over) this.stop()
      })
  }

  async close(): Promise<void> {
    await this.loading
    this.stop()
    this.progress.close()
    try {
      await this.phases?.finish()
    } catch {
      this.fallBack()
    }
    this.end()
    process.off('exit', this.onExit)
  }

  private async load(before: Promise<void> | undefined): Promise<void> {
    try {
      await before
      this.phases = await Phases.load(this.progress, { begin: () => this.begin(), end: () => this.end() })
    } catch {
      this.fallBack()
    }
  }

  private begin(): void {
    process.on('exit', this.onExit)
    if (!this.progress.over) this.stopClock = this.clock.every(frameMs, () => this.guard(() => this.draw()))
  }

  /** Somebody ends the process without closing the view: the cursor must come back all the same. */
  private readonly onExit = () => {
    this.progress.close()
    this.end()
  }

  private draw(): void {
    if (this.progress.asking || this.progress.over || !this.phases) return
    const rows = Math.min(mostRows, this.screen.rows - 1)
    this.painter.draw(drawFrame(this.progress, this.phases.rows(), this.frame(rows)))
  }

  /** Leaves the phases on the screen and tells the end as the `lines` view would. */
  private end(): void {
    const { phases } = this
    if (this.endDrawn || this.instead || !this.progress.over || !phases) return
    this.endDrawn = true
    this.stop()
    this.guard(() => {
      this.painter.erase()
      const rows = drawEnd(this.progress, phases.rows(), this.frame(mostRows))
      this.screen.write(rows.map(row => `${row}\n`).join(''))
      this.tell(this.lines())
    })
  }

  /** What a person must know of the run so far, in lines. */
  private tell(lines: View): void {
    const { failures, hands, ended, run } = this.progress
    for (const failure of failures.slice(0, failuresInFull)) lines.event(failure)
    const more = failures.slice(failuresInFull).map(f => this.progress.title(f.step))
    if (more.length > 0)
      lines.event({
        code: 'notice',
        about: 'failures',
        text: `${more.length} more failed, see \`recover report ${run}\`: ${more.slice(0, 3).join(', ')}${more.length > 3 ? ', …' : ''}`,
        atMs: 0,
      })
    for (const hand of hands.values()) lines.event(hand)
    if (ended) lines.event(ended)
  }

  private frame(rows: number): FrameOptions {
    const { columns, colour } = this.screen
    return { now: this.clock.now(), columns, rows, colour }
  }

  private stop(): void {
    this.stopClock?.()
    this.stopClock = undefined
  }

  /** Does something that draws; where it throws, the `lines` view takes over. */
  private guard(action: () => void): void {
    try {
      action()
    } catch {
      this.fallBack()
    }
  }

  private fallBack(): void {
    if (this.instead) return
    this.instead = this.lines()
    try {
      this.stop()
      this.painter.leave()
      this.tell(this.instead)
    } catch {
      // The screen is gone; the recovery goes on.
    }
  }

  /** A `lines` view that knows the run and its steps without saying so again. */
  private lines(): View {
    let heard = false
    const { screen } = this
    const view = linesView({
      write: text => {
        if (heard) screen.write(text)
      },
      colour: screen.colour,
      get columns() {
        return screen.columns
      },
    })
    for (const event of this.known) view.event(event)
    heard = true
    return view
  }
}
