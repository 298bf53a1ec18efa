import { bytesOf, quoted, textOfBytes, widthOfCharacter } from './byte-text.ts'

/** Lines that systemd would cut are refused. */
const longestLine = 2048

/** How much the parser reads at a time: it sees a long line only if it has it before its eyes. */
const windowSize = 4096

const lineFeed = 10
const carriageReturn = 13

/**
 * Reads a unit file as Ignition does before it writes it.
 * @returns what is wrong with it, or the names of the sections of its options.
 */
export function readUnit(text: string): { fault: string } | { sections: string[] } {
  try {
    return { sections: new UnitReader(bytesOf(text)).sections() }
  } catch (error) {
    if (error instanceof UnitFault) return { fault: `invalid unit content: ${error.message}` }
    throw error
  }
}

class UnitFault extends Error {}

type Step = (() => Step) | undefined

class UnitReader {
  private readonly bytes: Buffer
  private at = 0
  /** Up to where the window has been filled. */
  private filled = 0
  private readonly found: string[] = []

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** The section of every option, in their order. */
  sections(): string[] {
    let step: Step = () => this.outside()
    while (step) {
      if (this.filled - this.at >= longestLine) {
        const ahead = this.bytes.subarray(this.at, this.at + longestLine)
        if (!ahead.includes(lineFeed) && !ahead.includes(carriageReturn))
          throw new UnitFault(`line too long (max ${longestLine} bytes)`)
      }
      step = step()
    }
    return this.found
  }

  private fill(): boolean {
    const before = this.filled
    this.filled = Math.min(this.bytes.length, this.at + windowSize)
    return this.filled > before
  }

  private readCharacter(): string | undefined {
    if (widthOfCharacter(this.bytes.subarray(0, this.filled), this.at) === 0 || this.at >= this.filled)
      this.fill()
    if (this.at >= this.bytes.length) return undefined
    const width = widthOfCharacter(this.bytes, this.at) || 1
    const char = textOfBytes(this.bytes.subarray(this.at, this.at + width))
    this.at += width
    return char
  }

  /** Everything up to a byte and with it; without the byte where it does not come any more. */
  private readUntil(byte: number): { taken: Buffer; found: boolean } {
    const from = this.at
    for (;;) {
      const index = this.bytes.subarray(this.at, this.filled).indexOf(byte)
      if (index >= 0) {
        this.at += index + 1
        return { taken: this.bytes.subarray(from, this.at), found: true }
      }
      if (this.filled - this.at >= windowSize) this.at = this.filled
      if (!this.fill()) {
        this.at = this.filled
        return { taken: this.bytes.subarray(from, this.at), found: false }
      }
    }
  }

  private restOfLine(): { line: Buffer; end: boolean } {
    const { taken, found } = this.readUntil(lineFeed)
    let line = taken
    if (line.at(-1) === carriageReturn) line = line.subarray(0, -1)
    if (line.at(-1) === lineFeed) line = line.subarray(0, -1)
    return { line, end: !found }
  }

  private outside(): Step {
    const char = this.readCharacter()
    if (char === undefined) return undefined
    if (char === '[') return () => this.sectionName()
    if (char === '#' || char === ';') return () => this.comment(() => this.outside())
    return () => this.outside()
  }

  private comment(next: () => Step): Step {
    for (;;) {
      let { line } = this.restOfLine()
      if (line.at(-1) === 32) line = line.subarray(0, -1)
      if (line.at(-1) !== 92) return next
    }
  }

  private sectionName(): Step {
    const { taken, found } = this.readUntil(93)
    if (!found) throw new UnitFault('unable to find end of section')
    const name = textOfBytes(taken.subarray(0, -1))
    return () => {
      const garbage = trimmed(textOfBytes(this.restOfLine().line))
      if (garbage !== '') throw new UnitFault(`found garbage after section name : ${quoted(garbage)}`)
      return () => this.inside(name)
    }
  }

  private inside(section: string): Step {
    const before = this.at
    const char = this.readCharacter()
    if (char === undefined) return undefined
    if (isSpace(char)) return () => this.inside(section)
    if (char === '[') return () => this.sectionName()
    if (char === '#' || char === ';') return () => this.comment(() => this.inside(section))
    this.at = before
    return () => this.optionName(section)
  }

  private optionName(section: string): Step {
    for (;;) {
      const char = this.readCharacter()
      if (char === undefined) throw new UnitFault('EOF')
      if (char === '\n' || char === '\r')
        throw new UnitFault('unexpected newline encountered while parsing option name')
      if (char === '=') return () => this.optionValue(section)
    }
  }

  private optionValue(section: string): Step {
    const { line } = this.restOfLine()
    const blank = trimmed(textOfBytes(line)) === ''
    if (!blank && line.at(-1) === 92) return () => this.optionValue(section)
    this.found.push(section)
    return () => this.inside(section)
  }
}

const space = /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/

/** White space as Go has it. */
export function isSpace(char: string): boolean {
  return space.test(char)
}

function trimmed(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isSpace(text[from]!)) from++
  while (to > from && isSpace(text[to - 1]!)) to--
  return text.slice(from, to)
}
