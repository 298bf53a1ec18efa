import { gzipLikeGo } from './gzip/gzip.ts'

/**
 * A data URL of contents: percent escapes, base64 or base64 of gzip, whichever is the shortest, in this order of
 * preference.
 * @param compression what the person says of the contents; `gzip` means that they are compressed already.
 * @returns the URL, and the compression to write down; undefined where the person's stays.
 */
export function dataUrlOf(
  contents: Buffer,
  compression: string | undefined,
): { url: string; compression?: string } {
  let best = `,${percentEscaped(contents)}`
  const base64 = `;base64,${contents.toString('base64')}`
  if (base64.length < best.length) best = base64
  if (compression !== undefined && compression !== '') return { url: `data:${best}` }
  const packed = `;base64,${gzipLikeGo(contents).toString('base64')}`
  // The word `gzip` takes room, too.
  if (packed.length + 4 < best.length) return { url: `data:${packed}`, compression: 'gzip' }
  return { url: `data:${best}`, compression: '' }
}

const escapes = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte)
  return /[A-Za-z0-9\-_.!~*'()]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
})

/** Every byte but letters, digits and `-_.!~*'()` as `%XX`. */
export function percentEscaped(contents: Buffer): string {
  let out = ''
  for (const byte of contents) out += escapes[byte]
  return out
}
