import type { Clock } from '../../src/views/live.ts'
import type { Screen } from '../../src/views/live-screen.ts'

/** A terminal that keeps everything ever shown, and does what the control sequences tell it; throws at one it does not know. */
export class FakeScreen implements Screen {
  columns: number
  rows: number
  colour = false
  cursor: 'shown' | 'hidden' = 'shown'
  writes = 0
  /** Every line from the first ever written to the last, as they stand now. */
  private lines: string[][] = [[]]
  private row = 0
  private column = 0

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
  }

  write(text: string): void {
    this.writes += 1
    for (const [token] of text.matchAll(/\u001b\[[0-?]*[ -/]*[@-~]|./gsu)) this.take(token)
  }

  /** What is on it, blank lines at the end left out. */
  get shown(): string {
    return this.lines
      .map(line => line.join('').trimEnd())
      .join('\n')
      .trimEnd()
  }

  private take(token: string): void {
    const up = /^\u001b\[(\d+)A$/.exec(token)
    if (up) {
      this.row -= Number(up[1])
      const top = Math.max(0, this.lines.length - this.rows)
      if (this.row < top) throw new Error(`the cursor was moved ${top - this.row} rows above the window`)
    } else if (token === '\u001b[K') this.line.length = this.column
    else if (token === '\u001b[J') {
      this.line.length = this.column
      this.lines.length = this.row + 1
    } else if (token === '\u001b[?25l') this.cursor = 'hidden'
    else if (token === '\u001b[?25h') this.cursor = 'shown'
    else if (token === '\r') this.column = 0
    else if (token === '\n') this.down()
    else if (/^\u001b\[\d+m$/.test(token)) return
    else if (/^[\u0000-\u001f\u007f-\u009f]/.test(token)) throw new Error(`wrote ${JSON.stringify(token)}`)
    else {
      if (this.column === this.columns) this.down()
      this.line[this.column] = token
      this.column += 1
    }
  }

  private get line(): string[] {
    return this.lines[this.row]!
  }

  private down(): void {
    this.row += 1
    this.column = 0
    this.lines[this.row] ??= []
  }
}

/** A clock that stands still until it is told. */
export class FakeClock implements Clock {
  private time = 0
  private actions: (() => void)[] = []
  private began = () => {}
  /** Resolves when somebody first wants to be called: the view draws from then on. */
  readonly started = new Promise<void>(resolve => {
    this.began = resolve
  })

  now(): number {
    return this.time
  }

  every(_ms: number, action: () => void): () => void {
    this.actions.push(action)
    this.began()
    return () => {
      this.actions = this.actions.filter(a => a !== action)
    }
  }

  /** Lets time go by, then calls everybody once. */
  pass(ms: number): void {
    this.time += ms
    for (const action of this.actions) action()
  }

  get waited(): number {
    return this.actions.length
  }
}
