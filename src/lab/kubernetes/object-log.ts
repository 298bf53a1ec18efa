import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Stored } from './stored.ts'

/** One change: what a key holds since a version; nothing, where it was deleted. */
export interface Change {
  key: string
  version: number
  object?: Stored
}

/** The file that outlives the process: a line for each change, and whoever reads it again has every object of then. */
export class ObjectLog {
  private readonly file: string

  constructor(file: string) {
    this.file = file
  }

  /** All changes in their order, without a line that was torn when the process was killed. */
  *read(): Generator<Change> {
    if (!existsSync(this.file)) return
    for (const line of readFileSync(this.file, 'utf8').split('\n')) {
      const change = parsedLine(line)
      if (change) yield change
    }
  }

  append(change: Change): void {
    appendFileSync(this.file, `${JSON.stringify(change)}\n`, { mode: 0o600 })
  }

  /** Replaces all lines by those that still count. */
  replace(changes: Change[]): void {
    const lines = changes.map(change => JSON.stringify(change))
    writeFileSync(`${this.file}.tmp`, `${lines.join('\n')}\n`, { mode: 0o600 })
    renameSync(`${this.file}.tmp`, this.file)
  }
}

function parsedLine(line: string): Change | undefined {
  try {
    return JSON.parse(line) as Change
  } catch {
    return undefined
  }
}
