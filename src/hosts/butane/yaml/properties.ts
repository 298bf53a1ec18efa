import { isBlank, isBlankOrEnd, isBreak, isBreakOrEnd, isWord, type Mark } from './characters.ts'
import type { Scanner } from './scanner.ts'
import type { Token } from './token.ts'

/** Reads `&name` or `*name`. */
export function readAnchor(scanner: Scanner): Token {
  const { chars } = scanner
  const start = chars.place
  const kind = chars.read() === '*' ? 'alias' : 'anchor'
  let name = ''
  while (isWord(chars.peek())) name += chars.read()
  const next = chars.peek()
  if (name === '' || !(isBlankOrEnd(next) || '?:,]}%@`'.includes(next)))
    scanner.fail('did not find expected alphabetic or numeric character', start)
  return { kind, name, start, end: chars.place }
}

/** Reads `!suffix`, `!handle!suffix` or `!<uri>`. */
export function readTag(scanner: Scanner): Token {
  const { chars } = scanner
  const start = chars.place
  let handle = ''
  let suffix: string
  if (chars.peek(1) === '<') {
    chars.skip(2)
    suffix = readUri(scanner, '', start)
    if (chars.peek() !== '>') scanner.fail("did not find the expected '>'", start)
    chars.skip()
  } else {
    handle = readHandle(scanner, false, start)
    if (handle.length > 1 && handle.endsWith('!')) suffix = readUri(scanner, '', start)
    else {
      suffix = readUri(scanner, handle, start)
      handle = '!'
      if (suffix === '') {
        handle = ''
        suffix = '!'
      }
    }
  }
  if (!isBlankOrEnd(chars.peek())) scanner.fail('did not find expected whitespace or line break', start)
  return { kind: 'tag', handle, suffix, start, end: chars.place }
}

function readHandle(scanner: Scanner, directive: boolean, start: Mark): string {
  const { chars } = scanner
  if (chars.peek() !== '!') scanner.fail("did not find expected '!'", start)
  let handle = chars.read()
  while (isWord(chars.peek())) handle += chars.read()
  if (chars.peek() === '!') handle += chars.read()
  else if (directive && handle !== '!') scanner.fail("did not find expected '!'", start)
  return handle
}

function readUri(scanner: Scanner, head: string, start: Mark): string {
  const { chars } = scanner
  let uri = head.slice(1)
  let any = head !== ''
  while (isWord(chars.peek()) || ";/?:@&=+$,.!~*'()[]%".includes(chars.peek())) {
    uri += chars.peek() === '%' ? readEscapes(scanner, start) : chars.read()
    any = true
  }
  if (!any) scanner.fail('did not find expected tag URI', start)
  return uri
}

function readEscapes(scanner: Scanner, start: Mark): string {
  const { chars } = scanner
  const octets: number[] = []
  let left = 1
  while (left > 0) {
    const hex = chars.peek(1) + chars.peek(2)
    if (chars.peek() !== '%' || !/^[0-9A-Fa-f]{2}$/.test(hex))
      scanner.fail('did not find URI escaped octet', start)
    const octet = Number.parseInt(hex, 16)
    if (octets.length === 0) {
      left =
        octet < 0x80
          ? 1
          : (octet & 0xe0) === 0xc0
            ? 2
            : (octet & 0xf0) === 0xe0
              ? 3
              : (octet & 0xf8) === 0xf0
                ? 4
                : 0
      if (left === 0) scanner.fail('found an incorrect leading UTF-8 octet', start)
    } else if ((octet & 0xc0) !== 0x80) scanner.fail('found an incorrect trailing UTF-8 octet', start)
    octets.push(octet)
    chars.skip(3)
    left--
  }
  return Buffer.from(octets).toString('utf8')
}

/** Reads `%YAML` and `%TAG` lines. */
export function readDirective(scanner: Scanner): Token {
  const { chars } = scanner
  const start = chars.place
  chars.skip()
  let name = ''
  while (isWord(chars.peek())) name += chars.read()
  if (name === '') scanner.fail('could not find expected directive name', start)
  if (!isBlankOrEnd(chars.peek())) scanner.fail('found unexpected non-alphabetical character', start)
  let token: Token
  if (name === 'YAML') {
    skipBlanks(scanner)
    const major = readNumber(scanner, start)
    if (chars.peek() !== '.') scanner.fail("did not find expected digit or '.' character", start)
    chars.skip()
    const minor = readNumber(scanner, start)
    token = { kind: 'version-directive', major, minor, start, end: chars.place }
  } else if (name === 'TAG') {
    skipBlanks(scanner)
    const handle = readHandle(scanner, true, start)
    if (!isBlank(chars.peek())) scanner.fail('did not find expected whitespace', start)
    skipBlanks(scanner)
    const prefix = readUri(scanner, '', start)
    if (!isBlankOrEnd(chars.peek())) scanner.fail('did not find expected whitespace or line break', start)
    token = { kind: 'tag-directive', handle, prefix, start, end: chars.place }
  } else scanner.fail('found unknown directive name', start)
  skipBlanks(scanner)
  if (chars.peek() === '#') while (!isBreakOrEnd(chars.peek())) chars.skip()
  if (!isBreakOrEnd(chars.peek())) scanner.fail('did not find expected comment or line break', start)
  if (isBreak(chars.peek())) chars.readBreak()
  return token
}

function skipBlanks(scanner: Scanner): void {
  while (isBlank(scanner.chars.peek())) scanner.chars.skip()
}

function readNumber(scanner: Scanner, start: Mark): number {
  let digits = ''
  while (/^[0-9]$/.test(scanner.chars.peek())) {
    digits += scanner.chars.read()
    if (digits.length > 2) scanner.fail('found extremely long version number', start)
  }
  if (digits === '') scanner.fail('did not find expected version number', start)
  return Number(digits)
}
