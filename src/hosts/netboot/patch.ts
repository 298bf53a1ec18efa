import { Transform } from 'node:stream'

/** Bytes that stand in the place of others of the same length. */
export interface Patch {
  offset: number
  bytes: Buffer
}

/** A stream of a file's bytes from `start` on, in which some are other ones. */
export function patching(patches: readonly Patch[], start: number): Transform {
  let at = start
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let out = chunk
      for (const { offset, bytes } of patches) {
        const from = Math.max(offset, at)
        const to = Math.min(offset + bytes.length, at + chunk.length)
        if (from >= to) continue
        if (out === chunk) out = Buffer.from(chunk)
        bytes.copy(out, from - at, from - offset, to - offset)
      }
      at += chunk.length
      done(null, out)
    },
  })
}
