import { widthOf } from './live-fit.ts'
import type { Paper } from './view.ts'

/** A terminal: paper that can be written over. `columns` and `rows` are asked anew for every frame, as windows are resized. */
export interface Screen extends Paper {
  rows: number
}

const control = '\u001b['
const hideCursor = `${control}?25l`
const showCursor = `${control}?25h`

/** Draws rows over the rows that it drew before, in one write each, and only when something differs. */
export class Painter {
  private readonly screen: Screen
  private drawn: string[] = []
  private hidden = false

  constructor(screen: Screen) {
    this.screen = screen
  }

  /** Puts these rows in the place of the last ones. None may be as wide as the screen, nor all together as high. */
  draw(rows: string[]): void {
    if (rows.join('\n') === this.drawn.join('\n')) return
    // Each row clears what it leaves of the old one, and the last clears what is below: nothing flickers.
    const body = rows.map(row => `${row}${control}K\n`).join('')
    this.screen.write(`${this.hidden ? '' : hideCursor}${this.back()}${body}${control}J`)
    this.hidden = true
    this.drawn = rows
  }

  /** Takes the rows away and gives the cursor back: somebody else wants to write. */
  erase(): void {
    const out = `${this.drawn.length > 0 ? `${this.back()}${control}J` : ''}${this.hidden ? showCursor : ''}`
    this.drawn = []
    this.hidden = false
    if (out !== '') this.screen.write(out)
  }

  /** Leaves the last rows where they are, for good, and gives the cursor back. */
  leave(): void {
    this.drawn = []
    if (this.hidden) this.screen.write(showCursor)
    this.hidden = false
  }

  /** To the first of the rows drawn last. A window made narrower since has folded them. */
  private back(): string {
    const { columns } = this.screen
    let rows = 0
    for (const row of this.drawn)
      rows += Math.max(1, Math.ceil(widthOf(row.replaceAll(/\u001b\[\d+m/g, '')) / columns))
    return rows === 0 ? '' : `${control}${rows}A\r`
  }
}
