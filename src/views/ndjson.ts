import { closeSync, openSync, writeSync } from 'node:fs'
import type { View } from './view.ts'

/** Every event as one line of JSON, whole, into a file (or `/dev/stdout`). */
export function ndjsonInto(path: string): View {
  const fd = openSync(path, 'a', 0o600)
  let open = true
  return {
    event: event => {
      writeSync(fd, `${JSON.stringify(event)}\n`)
    },
    close: async () => {
      if (open) closeSync(fd)
      open = false
    },
  }
}
