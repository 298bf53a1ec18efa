import { end, isBlank, isBlankOrEnd, isBreak, isBreakOrEnd, type Mark } from './characters.ts'
import type { Scanner } from './scanner.ts'
import type { Token } from './token.ts'

/** Reads a `|` or `>` scalar. */
export function readBlockScalar(scanner: Scanner, literal: boolean): Token {
  const { chars } = scanner
  const start = chars.place
  chars.skip()
  const { keep, increment } = readBlockHeader(scanner, start)
  while (isBlank(chars.peek())) chars.skip()
  if (chars.peek() === '#') while (!isBreakOrEnd(chars.peek())) chars.skip()
  if (!isBreakOrEnd(chars.peek())) scanner.fail('did not find expected comment or line break', start)
  if (isBreak(chars.peek())) chars.readBreak()
  let indent = increment === 0 ? 0 : Math.max(scanner.indent, 0) + increment

  let value = ''
  let leadingBreak = ''
  let leadingBlank = false
  let breaks: string
  ;({ indent, breaks } = readIndentation(scanner, indent, start))
  while (chars.mark.column === indent && chars.peek() !== end) {
    const blank = isBlank(chars.peek())
    // A single break between two lines that are not indented further folds into a space.
    if (!literal && !leadingBlank && !blank && leadingBreak === '\n') value += breaks === '' ? ' ' : ''
    else value += leadingBreak
    value += breaks
    leadingBlank = blank
    while (!isBreakOrEnd(chars.peek())) value += chars.read()
    leadingBreak = chars.readBreak()
    ;({ indent, breaks } = readIndentation(scanner, indent, start))
  }
  if (keep !== -1) value += leadingBreak
  if (keep === 1) value += breaks
  return { kind: 'scalar', value, style: literal ? 'literal' : 'folded', start, end: chars.place }
}

/** The `+`, `-` and digit behind `|` or `>`, in either order. */
function readBlockHeader(scanner: Scanner, start: Mark): { keep: -1 | 0 | 1; increment: number } {
  const { chars } = scanner
  let keep: -1 | 0 | 1 = 0
  let increment = 0
  const chomping = () => {
    if (chars.peek() !== '+' && chars.peek() !== '-') return false
    keep = chars.read() === '+' ? 1 : -1
    return true
  }
  const digit = () => {
    if (!/^[0-9]$/.test(chars.peek())) return
    if (chars.peek() === '0') scanner.fail('found an indentation indicator equal to 0', start)
    increment = Number(chars.read())
    chomped ||= chomping()
  }
  let chomped = chomping()
  if (chomped) {
    if (/^[0-9]$/.test(chars.peek())) digit()
  } else digit()
  return { keep, increment }
}

/** Indentation and empty lines before content; finds the indentation where none is known yet. */
function readIndentation(scanner: Scanner, known: number, start: Mark): { indent: number; breaks: string } {
  const { chars } = scanner
  let indent = known
  let breaks = ''
  let widest = 0
  for (;;) {
    while ((indent === 0 || chars.mark.column < indent) && chars.peek() === ' ') chars.skip()
    widest = Math.max(widest, chars.mark.column)
    if ((indent === 0 || chars.mark.column < indent) && chars.peek() === '\t')
      scanner.fail('found a tab character where an indentation space is expected', start)
    if (!isBreak(chars.peek())) break
    breaks += chars.readBreak()
  }
  if (indent === 0) indent = Math.max(widest, scanner.indent + 1, 1)
  return { indent, breaks }
}

/** Reads a scalar in quotes. */
export function readQuotedScalar(scanner: Scanner, single: boolean): Token {
  const { chars } = scanner
  const start = chars.place
  const quote = chars.read()
  let value = ''
  for (;;) {
    if (scanner.atDocumentIndicator('---') || scanner.atDocumentIndicator('...'))
      scanner.fail('found unexpected document indicator', start)
    if (chars.peek() === end) scanner.fail('found unexpected end of stream', start)
    let escapedBreak = false
    while (!isBlankOrEnd(chars.peek())) {
      const char = chars.peek()
      if (single && char === quote && chars.peek(1) === quote) {
        value += quote
        chars.skip(2)
      } else if (char === quote) break
      else if (!single && char === '\\' && isBreak(chars.peek(1))) {
        chars.skip()
        chars.readBreak()
        escapedBreak = true
        break
      } else if (!single && char === '\\') value += readEscape(scanner, start)
      else value += chars.read()
    }
    if (chars.peek() === quote) break
    value += readFolding(scanner, escapedBreak)
  }
  chars.skip()
  return { kind: 'scalar', value, style: single ? 'single' : 'double', start, end: chars.place }
}

/** White space inside of quotes: a line break is a space, further ones stay. */
function readFolding(scanner: Scanner, escapedBreak: boolean): string {
  const { chars } = scanner
  let blanks = ''
  let first = ''
  let more = ''
  let broken = escapedBreak
  while (isBlank(chars.peek()) || isBreak(chars.peek())) {
    if (isBlank(chars.peek())) {
      const blank = chars.read()
      if (!broken) blanks += blank
    } else if (!broken) {
      first = chars.readBreak()
      broken = true
    } else more += chars.readBreak()
  }
  if (!broken) return blanks
  if (first === '\n') return more === '' ? ' ' : more
  return first + more
}

const escapes: Record<string, string> = {
  '0': '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  "'": "'",
  '\\': '\\',
  N: '\u0085',
  _: '\u00a0',
  L: '\u2028',
  P: '\u2029',
}
const codeLengths: Record<string, number> = { x: 2, u: 4, U: 8 }

function readEscape(scanner: Scanner, start: Mark): string {
  const { chars } = scanner
  const letter = chars.peek(1)
  const plain = escapes[letter]
  if (plain !== undefined) {
    chars.skip(2)
    return plain
  }
  const length = codeLengths[letter]
  if (length === undefined) scanner.fail('found unknown escape character', start)
  chars.skip(2)
  let hex = ''
  for (let i = 0; i < length; i++) {
    if (!/^[0-9A-Fa-f]$/.test(chars.peek(i))) scanner.fail('did not find expected hexdecimal number', start)
    hex += chars.peek(i)
  }
  const code = Number.parseInt(hex, 16)
  if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
    scanner.fail('found invalid Unicode character escape code', start)
  chars.skip(length)
  return String.fromCodePoint(code)
}

/** Reads a scalar without quotes. */
export function readPlainScalar(scanner: Scanner): Token {
  const { chars } = scanner
  const start = chars.place
  const indent = scanner.indent + 1
  let stop = chars.place
  let value = ''
  let blanks = ''
  let first = ''
  let more = ''
  let broken = false
  for (;;) {
    if (scanner.atDocumentIndicator('---') || scanner.atDocumentIndicator('...')) break
    if (chars.peek() === '#') break
    while (!isBlankOrEnd(chars.peek())) {
      const char = chars.peek()
      if (char === ':' && isBlankOrEnd(chars.peek(1))) break
      if (scanner.flowLevel > 0 && ',?[]{}'.includes(char)) break
      if (broken) {
        value += first === '\n' ? (more === '' ? ' ' : more) : first + more
        first = ''
        more = ''
        broken = false
      } else value += blanks
      blanks = ''
      value += chars.read()
      stop = chars.place
    }
    if (!isBlank(chars.peek()) && !isBreak(chars.peek())) break
    while (isBlank(chars.peek()) || isBreak(chars.peek())) {
      if (isBlank(chars.peek())) {
        if (broken && chars.mark.column < indent && chars.peek() === '\t')
          scanner.fail('found a tab character that violates indentation', start)
        const blank = chars.read()
        if (!broken) blanks += blank
      } else if (!broken) {
        blanks = ''
        first = chars.readBreak()
        broken = true
      } else more += chars.readBreak()
    }
    if (scanner.flowLevel === 0 && chars.mark.column < indent) break
  }
  if (broken) scanner.simpleKeyAllowed = true
  return { kind: 'scalar', value, style: 'plain', start, end: stop }
}
