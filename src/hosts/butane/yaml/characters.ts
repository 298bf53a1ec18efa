import { bytesOf } from '../byte-text.ts'
import { YamlFault } from './yaml-fault.ts'

/** A place in a text; line and column count from 0, columns in characters. */
export interface Mark {
  index: number
  line: number
  column: number
}

/** What stands for the end of the text. */
export const end = '\0'

/** Size of the pieces in which the text is read: a bad character is only found when its piece is. */
const pieceBytes = 512

/** The characters of a YAML text, one after the other, with their places. */
export class Characters {
  readonly mark: Mark = { index: 0, line: 0, column: 0 }
  /** Line breaks since the last character that was no blank. */
  newlines = 0
  private readonly list: string[] = []
  private at = 0
  private bad: { from: number; problem: string } | undefined

  constructor(text: string) {
    const bytes = bytesOf(text)
    const { mark, read: characterAt } = encodingOf(bytes)
    let at = mark
    let pieceEnd = pieceBytes
    let pieceFrom = 0
    while (at < bytes.length) {
      const read = characterAt(bytes, at)
      if (at + read.width > pieceEnd && pieceEnd < bytes.length) {
        pieceEnd = at + pieceBytes
        pieceFrom = this.list.length
      } else if (at >= pieceEnd) {
        pieceEnd += pieceBytes
        pieceFrom = this.list.length
      }
      if (read.problem !== undefined) {
        this.bad = { from: pieceFrom, problem: read.problem }
        break
      }
      this.list.push(read.char)
      at += read.width
    }
  }

  /** The character `ahead` of the present one; NUL at the end. */
  peek(ahead = 0): string {
    const at = this.at + ahead
    if (this.bad !== undefined && at >= this.bad.from) throw new YamlFault(this.bad.problem)
    return this.list[at] ?? end
  }

  get place(): Mark {
    return { ...this.mark }
  }

  /** Goes past a character that is no line break. */
  skip(count = 1): void {
    if (!isBlank(this.peek())) this.newlines = 0
    this.at += count
    this.mark.index += count
    this.mark.column += count
  }

  /** Takes a character that is no line break. */
  read(): string {
    const char = this.peek()
    this.skip()
    return char
  }

  /** Takes a line break, and gives it as YAML keeps it. */
  readBreak(): string {
    const char = this.peek()
    if (!isBreak(char)) return ''
    const both = char === '\r' && this.peek(1) === '\n'
    this.at += both ? 2 : 1
    this.mark.index += both ? 2 : 1
    this.mark.column = 0
    this.mark.line++
    this.newlines++
    return char === '\u2028' || char === '\u2029' ? char : '\n'
  }

  /** Forces a new line at the end of the text. */
  endLine(): void {
    if (this.mark.column === 0) return
    this.mark.column = 0
    this.mark.line++
  }
}

interface Character {
  char: string
  width: number
  problem?: string
}

/** How a text is written, by the byte order mark at its start. UTF-16 is what some editors and shells of Windows write. */
function encodingOf(bytes: Buffer): { mark: number; read: (bytes: Buffer, at: number) => Character } {
  const begins = (...octets: number[]) => octets.every((octet, i) => bytes[i] === octet)
  if (begins(0xff, 0xfe)) return { mark: 2, read: (all, at) => character16(all, at, 0) }
  if (begins(0xfe, 0xff)) return { mark: 2, read: (all, at) => character16(all, at, 1) }
  return { mark: begins(0xef, 0xbb, 0xbf) ? 3 : 0, read: character8 }
}

function fault(problem: string, width = 1): Character {
  return { char: '', width, problem }
}

function character8(bytes: Buffer, at: number): Character {
  const first = bytes[at]!
  const width =
    first < 0x80
      ? 1
      : (first & 0xe0) === 0xc0
        ? 2
        : (first & 0xf0) === 0xe0
          ? 3
          : (first & 0xf8) === 0xf0
            ? 4
            : 0
  if (width === 0) return fault('invalid leading UTF-8 octet')
  if (at + width > bytes.length) return fault('incomplete UTF-8 octet sequence')
  let code = width === 1 ? first : first & (0xff >> (width + 1))
  for (let i = 1; i < width; i++) {
    const octet = bytes[at + i]!
    if ((octet & 0xc0) !== 0x80) return fault('invalid trailing UTF-8 octet', width)
    code = code * 64 + (octet & 0x3f)
  }
  if ((width === 2 && code < 0x80) || (width === 3 && code < 0x800) || (width === 4 && code < 0x10000))
    return fault('invalid length of a UTF-8 sequence', width)
  if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return fault('invalid Unicode character', width)
  return allowed(code, width)
}

/** @param low where the low octet of a unit stands: 0 or 1 */
function character16(bytes: Buffer, at: number, low: 0 | 1): Character {
  const unit = (from: number) => bytes[from + low]! + bytes[from + 1 - low]! * 256
  if (at + 2 > bytes.length) return fault('incomplete UTF-16 character')
  const first = unit(at)
  if ((first & 0xfc00) === 0xdc00) return fault('unexpected low surrogate area', 2)
  if ((first & 0xfc00) !== 0xd800) return allowed(first, 2)
  if (at + 4 > bytes.length) return fault('incomplete UTF-16 surrogate pair', 2)
  const second = unit(at + 2)
  if ((second & 0xfc00) !== 0xdc00) return fault('expected low surrogate area', 4)
  return allowed(0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff), 4)
}

function allowed(code: number, width: number): Character {
  const fits =
    code === 9 ||
    code === 10 ||
    code === 13 ||
    (code >= 0x20 && code <= 0x7e) ||
    code === 0x85 ||
    (code >= 0xa0 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    code >= 0x10000
  return fits
    ? { char: String.fromCodePoint(code), width }
    : fault('control characters are not allowed', width)
}

/** A line break of YAML 1.1. */
export function isBreak(char: string): boolean {
  return char === '\n' || char === '\r' || char === '\u0085' || char === '\u2028' || char === '\u2029'
}

/** A space or a tab. */
export function isBlank(char: string): boolean {
  return char === ' ' || char === '\t'
}

/** A line break or the end. */
export function isBreakOrEnd(char: string): boolean {
  return char === end || isBreak(char)
}

/** A blank, a line break or the end. */
export function isBlankOrEnd(char: string): boolean {
  return isBlank(char) || isBreakOrEnd(char)
}

/** What names of anchors and tags are made of. */
export function isWord(char: string): boolean {
  return /^[0-9A-Za-z_-]$/.test(char)
}
