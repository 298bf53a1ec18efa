import { closeSync, openSync, writeSync } from 'node:fs'
import type { EventSink } from './events.ts'

/**
 * Keeps every event of a run in a file, one line of JSON each: what a person sends along when something is wrong. Not
 * flushed and never in the way: what must survive is in the journal.
 */
export function openEventLog(path: string): { sink: EventSink; close(): void } {
  let fd: number | undefined
  try {
    fd = openSync(path, 'a', 0o600)
  } catch {
    // A log that cannot be kept must not stop a recovery.
  }
  return {
    sink(event) {
      if (fd === undefined) return
      try {
        writeSync(fd, `${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`)
      } catch {
        // As above: a full disk is the journal's business.
      }
    },
    close() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}
