import { closeSync, openSync, writeSync } from 'node:fs'
import { Fault } from '../runbook/fault.ts'
import type { View } from './view.ts'

/**
 * Every event as one line of JSON, whole, into a file (or `/dev/stdout`). Fault `events-unwritable` when it cannot be
 * opened. One that fills up later loses events, which must not stop a recovery: the journal holds what counts.
 */
export function ndjsonInto(path: string): View {
  const fd = opened(path)
  let open = true
  return {
    event: event => {
      try {
        writeSync(fd, `${JSON.stringify(event)}\n`)
      } catch {
        // Whoever reads it sees that it has no end.
      }
    },
    close: async () => {
      if (open) closeSync(fd)
      open = false
    },
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (cause) {
    throw new Fault({
      code: 'events-unwritable',
      blame: 'operator',
      message: `cannot write events into ${path}; nothing was changed`,
      remedy: 'Name a file that you may write with --json-into',
      cause,
    })
  }
}
