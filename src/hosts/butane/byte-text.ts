/**
 * Text that may hold any byte, as strings of Go do. Bytes that are not UTF-8 stand as one of the 128 low surrogates from
 * U+DC80 on, as Python's `surrogateescape` does it; nothing else makes lone surrogates here.
 */

/** Bytes as text; what is not UTF-8 is kept. */
export function textOfBytes(bytes: Uint8Array): string {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = whole.toString('utf8')
  if (!text.includes('\ufffd')) return text
  let out = ''
  let at = 0
  while (at < whole.length) {
    const width = widthOfCharacter(whole, at)
    if (width === 0) out += String.fromCharCode(0xdc00 + whole[at]!)
    else out += whole.toString('utf8', at, at + width)
    at += width || 1
  }
  return out
}

/** The bytes of a text that {@link textOfBytes} may have made. */
export function bytesOf(text: string): Buffer {
  const escaped = /[\udc80-\udcff]/
  if (!escaped.test(text)) return Buffer.from(text, 'utf8')
  const parts: Buffer[] = []
  let from = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit < 0xdc00) {
      i++
      continue
    }
    if (unit < 0xdc80 || unit > 0xdcff) continue
    parts.push(Buffer.from(text.slice(from, i), 'utf8'), Buffer.from([unit - 0xdc00]))
    from = i + 1
  }
  parts.push(Buffer.from(text.slice(from), 'utf8'))
  return Buffer.concat(parts)
}

/** Length in bytes, which is what limits on labels count. */
export function byteLength(text: string): number {
  return bytesOf(text).length
}

/** How many bytes the UTF-8 character at `at` has; 0 where there is none. */
export function widthOfCharacter(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!
  if (first < 0x80) return 1
  const width =
    first >= 0xc2 && first <= 0xdf
      ? 2
      : first >= 0xe0 && first <= 0xef
        ? 3
        : first >= 0xf0 && first <= 0xf4
          ? 4
          : 0
  if (width === 0 || at + width > bytes.length) return 0
  for (let i = 1; i < width; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0
  const second = bytes[at + 1]!
  if (first === 0xe0 && second < 0xa0) return 0
  if (first === 0xed && second > 0x9f) return 0
  if (first === 0xf0 && second < 0x90) return 0
  if (first === 0xf4 && second > 0x8f) return 0
  return width
}

const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

/** A text in double quotes, escaped as Go's `%q` does it. */
export function quoted(text: string): string {
  let out = '"'
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (char === '"' || char === '\\') out += `\\${char}`
    else if (code >= 0xdc80 && code <= 0xdcff) out += `\\x${(code - 0xdc00).toString(16)}`
    else if (printable.test(char)) out += char
    else if (short[char] !== undefined) out += short[char]
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, '0')}`
    else out += `\\U${code.toString(16).padStart(8, '0')}`
  }
  return `${out}"`
}

const short: Record<string, string> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}
