import type { Listr, ListrRenderer, ListrTaskState } from 'listr2'
import type { PhaseRow } from './live-frame.ts'
import type { PhaseState, Progress } from './live-progress.ts'

/** What the renderer asks of the view. */
interface Drawing {
  /** The list stands and may be drawn. */
  begin(): void
  /** All phases are over: leave the last rows on the screen. */
  end(): void
}

/**
 * The phases as a task list of listr2, drawn by a renderer of our own.
 *
 * listr2 holds the list, each phase's title and state, and calls the renderer at its beginning and end. Two things it
 * cannot do for an engine that runs its steps by itself:
 * - Its tasks are functions that it starts and awaits. Ours all wait at one gate that opens when the run has ended,
 *   and their states are set as events come in; listr2 takes a state that is set as it stands. A phase's last known
 *   step being done is not its end either, since a fan-out may add steps: a task that had returned could not go back.
 * - Its default renderer repaints all rows, synchronously, at every event (about 6 ms each, on the engine's own
 *   thread), is as wide as stdout although it draws on stderr (mended only in listr2 11), cannot be paused while a
 *   question is asked, and hides the cursor on stdout, where programs read. A renderer class is listr2's own way out.
 */
export class Phases {
  private readonly list: Listr<unknown, typeof Renderer>
  private readonly states: typeof ListrTaskState
  private readonly progress: Progress
  private readonly open: () => void
  private readonly ended: Promise<void>

  private constructor(listr2: typeof import('listr2'), progress: Progress, drawing: Drawing) {
    let open = () => {}
    const gate = new Promise<void>(resolve => {
      open = resolve
    })
    this.open = open
    this.progress = progress
    this.states = listr2.ListrTaskState
    this.list = new listr2.Listr(
      progress.phases.map(p => ({ title: p.title, task: () => gate.then(() => this.bringUpToDate()) })),
      {
        concurrent: true,
        renderer: Renderer,
        rendererOptions: { drawing },
        // Ctrl-C belongs to the run: by default listr2 would call process.exit(127) at once.
        registerSignalListeners: false,
      },
    )
    this.ended = this.list.run().then(() => {})
    // Whoever calls finish hears of it; until then it must not count as unhandled and end the process.
    this.ended.catch(() => {})
  }

  /** listr2 takes 20 ms to load, which a command that draws nothing need not wait for. */
  static async load(progress: Progress, drawing: Drawing): Promise<Phases> {
    return new Phases(await import('listr2'), progress, drawing)
  }

  /** The rows to draw, states brought up to date. */
  rows(): PhaseRow[] {
    this.bringUpToDate()
    const { states } = this
    return this.list.tasks.map((task, i) => ({
      phase: this.progress.phases[i]!,
      title: task.title ?? '',
      state:
        task.state === states.COMPLETED
          ? 'done'
          : task.state === states.FAILED
            ? 'failed'
            : task.state === states.STARTED
              ? 'working'
              : task.state === states.SKIPPED
                ? 'left'
                : 'waiting',
    }))
  }

  /** Opens the gate. Resolves when the renderer has drawn the end. */
  finish(): Promise<void> {
    this.open()
    return this.ended
  }

  private bringUpToDate(): void {
    const { states, progress } = this
    const finished = progress.ended?.state === 'finished'
    const named: Record<PhaseState, ListrTaskState> = {
      waiting: states.PAUSED,
      working: states.STARTED,
      done: states.COMPLETED,
      failed: states.FAILED,
      left: states.SKIPPED,
    }
    for (const [i, task] of this.list.tasks.entries()) {
      const state = named[progress.phases[i]!.state(progress.over, finished)]
      if (task.state !== state) task.state$ = state
    }
  }
}

class Renderer implements ListrRenderer {
  static readonly nonTTY = true
  static rendererOptions: { drawing: Drawing }
  static rendererTaskOptions: never
  private readonly drawing: Drawing

  constructor(_tasks: unknown, options: { drawing: Drawing }) {
    this.drawing = options.drawing
  }

  render(): void {
    this.drawing.begin()
  }

  end(): void {
    this.drawing.end()
  }
}
