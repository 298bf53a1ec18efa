import { Characters, end, isBlank, isBlankOrEnd, type Mark } from './characters.ts'
import { readAnchor, readDirective, readTag } from './properties.ts'
import { readBlockScalar, readPlainScalar, readQuotedScalar } from './scalars.ts'
import { skipLineComment, skipToToken } from './spacing.ts'
import type { Indicator, Token } from './token.ts'
import { YamlFault } from './yaml-fault.ts'

/** A place where a mapping key may have begun that needs no `?`. */
interface SimpleKey {
  possible: boolean
  required: boolean
  token: number
  mark: Mark
}

const nowhere: Mark = { index: 0, line: 0, column: 0 }

/** Nesting deeper than this is refused. */
export const maxDepth = 10_000

/**
 * The tokens of a YAML 1.1 text, found in the order, with the lookahead and with the complaints of libyaml, from which
 * Go's yaml.v3 descends: Butane's messages name these places and use these words.
 */
export class Scanner {
  readonly chars: Characters
  flowLevel = 0
  indent = -1
  simpleKeyAllowed = true
  private readonly queue: Token[] = []
  private parsed = 0
  private available = false
  private started = false
  private readonly indents: number[] = []
  private readonly simpleKeys: SimpleKey[] = []
  private readonly simpleKeyOfToken = new Map<number, number>()

  constructor(text: string) {
    this.chars = new Characters(text)
  }

  /** The next token, which stays. */
  peek(): Token {
    if (!this.available) this.fill()
    return this.queue[0]!
  }

  /** Takes the next token. */
  take(): Token {
    const token = this.peek()
    this.queue.shift()
    this.parsed++
    this.available = false
    return token
  }

  /** Stops at the present place; the line is that of the context, if that is not the first. */
  fail(problem: string, context: Mark = this.chars.mark): never {
    const line = context.line !== 0 ? context.line : this.chars.mark.line
    throw new YamlFault(line === 0 ? problem : `line ${line + 1}: ${problem}`)
  }

  // The library looks at least two tokens ahead, and so finds errors before it has read what stands before them.
  private fill(): void {
    for (;;) {
      if (this.queue.length > 2) {
        const key = this.simpleKeyOfToken.get(this.parsed)
        if (key === undefined || !this.stillValid(this.simpleKeys[key])) break
      }
      this.fetch()
    }
    this.available = true
  }

  private fetch(): void {
    const { chars } = this
    if (!this.started) {
      chars.peek()
      this.started = true
      this.simpleKeys.push({ possible: false, required: false, token: 0, mark: nowhere })
      this.add({ kind: 'stream-start', start: chars.place, end: chars.place })
      return
    }
    skipToToken(
      chars,
      () => this.flowLevel > 0 || !this.simpleKeyAllowed,
      () => {
        if (this.flowLevel === 0) this.simpleKeyAllowed = true
      },
    )
    this.unrollIndent(chars.mark.column)
    const char = chars.peek()
    if (char === end) this.fetchStreamEnd()
    else if (chars.mark.column === 0 && char === '%') this.fetchDirective()
    else if (this.atDocumentIndicator('---')) this.fetchDocumentIndicator('document-start')
    else if (this.atDocumentIndicator('...')) this.fetchDocumentIndicator('document-end')
    else {
      this.fetchContent(char)
      if (this.queue.at(-1)?.kind !== 'block-entry') skipLineComment(chars)
    }
  }

  /** Whether a line begins here with `---` or `...` alone. */
  atDocumentIndicator(indicator: '---' | '...'): boolean {
    const { chars } = this
    return (
      chars.mark.column === 0 &&
      [0, 1, 2].every(i => chars.peek(i) === indicator[i]) &&
      isBlankOrEnd(chars.peek(3))
    )
  }

  private fetchContent(char: string): void {
    const next = this.chars.peek(1)
    const block = this.flowLevel === 0
    if (char === '[') this.fetchFlowStart('flow-sequence-start')
    else if (char === '{') this.fetchFlowStart('flow-mapping-start')
    else if (char === ']') this.fetchFlowEnd('flow-sequence-end')
    else if (char === '}') this.fetchFlowEnd('flow-mapping-end')
    else if (char === ',') this.fetchFlowEntry()
    else if (char === '-' && isBlankOrEnd(next)) this.fetchBlockEntry()
    else if (char === '?' && (!block || isBlankOrEnd(next))) this.fetchKey()
    else if (char === ':' && (!block || isBlankOrEnd(next))) this.fetchValue()
    else if (char === '*' || char === '&') this.fetchOne(() => readAnchor(this))
    else if (char === '!') this.fetchOne(() => readTag(this))
    else if ((char === '|' || char === '>') && block) {
      this.forgetSimpleKey()
      this.simpleKeyAllowed = true
      this.add(readBlockScalar(this, char === '|'))
    } else if (char === "'" || char === '"') this.fetchOne(() => readQuotedScalar(this, char === "'"))
    else if (this.startsPlain(char, next)) this.fetchOne(() => readPlainScalar(this))
    else this.fail('found character that cannot start any token')
  }

  private startsPlain(char: string, next: string): boolean {
    if (!isBlankOrEnd(char) && !'-?:,[]{}#&*!|>\'"%@`'.includes(char)) return true
    if (char === '-') return !isBlank(next)
    return this.flowLevel === 0 && (char === '?' || char === ':') && !isBlankOrEnd(next)
  }

  private add(token: Token, at?: number): void {
    if (at === undefined) this.queue.push(token)
    else this.queue.splice(at, 0, token)
  }

  private stillValid(key: SimpleKey | undefined): boolean {
    if (!key?.possible) return false
    const { mark } = this.chars
    if (key.mark.line >= mark.line && key.mark.index + 1024 >= mark.index) return true
    if (key.required) this.fail("could not find expected ':'", key.mark)
    key.possible = false
    return false
  }

  private saveSimpleKey(): void {
    const { mark } = this.chars
    const required = this.flowLevel === 0 && this.indent === mark.column
    if (!this.simpleKeyAllowed) return
    this.forgetSimpleKey()
    const token = this.parsed + this.queue.length
    this.simpleKeys[this.simpleKeys.length - 1] = { possible: true, required, token, mark: this.chars.place }
    this.simpleKeyOfToken.set(token, this.simpleKeys.length - 1)
  }

  private forgetSimpleKey(): void {
    const key = this.simpleKeys.at(-1)!
    if (!key.possible) return
    if (key.required) this.fail("could not find expected ':'", key.mark)
    key.possible = false
    this.simpleKeyOfToken.delete(key.token)
  }

  private rollIndent(
    column: number,
    kind: 'block-sequence-start' | 'block-mapping-start',
    mark: Mark,
    at?: number,
  ): void {
    if (this.flowLevel > 0 || this.indent >= column) return
    this.indents.push(this.indent)
    this.indent = column
    if (this.indents.length > maxDepth)
      this.fail(`exceeded max depth of ${maxDepth}`, this.simpleKeys.at(-1)!.mark)
    this.add({ kind, start: mark, end: mark }, at === undefined ? undefined : at - this.parsed)
  }

  private unrollIndent(column: number): void {
    if (this.flowLevel > 0) return
    while (this.indent > column) {
      this.add({ kind: 'block-end', start: this.chars.place, end: this.chars.place })
      this.indent = this.indents.pop()!
    }
  }

  private fetchStreamEnd(): void {
    this.chars.endLine()
    this.unrollIndent(-1)
    this.forgetSimpleKey()
    this.simpleKeyAllowed = false
    this.add({ kind: 'stream-end', start: this.chars.place, end: this.chars.place })
  }

  private fetchDirective(): void {
    this.unrollIndent(-1)
    this.forgetSimpleKey()
    this.simpleKeyAllowed = false
    this.add(readDirective(this))
  }

  private fetchDocumentIndicator(kind: 'document-start' | 'document-end'): void {
    this.unrollIndent(-1)
    this.forgetSimpleKey()
    this.simpleKeyAllowed = false
    this.addIndicator(kind, 3)
  }

  private addIndicator(kind: Indicator, length = 1): void {
    const start = this.chars.place
    this.chars.skip(length)
    this.add({ kind, start, end: this.chars.place })
  }

  private fetchFlowStart(kind: 'flow-sequence-start' | 'flow-mapping-start'): void {
    this.saveSimpleKey()
    this.simpleKeys.push({
      possible: false,
      required: false,
      token: this.parsed + this.queue.length,
      mark: this.chars.place,
    })
    this.flowLevel++
    if (this.flowLevel > maxDepth)
      this.fail(`exceeded max depth of ${maxDepth}`, this.simpleKeys.at(-1)!.mark)
    this.simpleKeyAllowed = true
    this.addIndicator(kind)
  }

  private fetchFlowEnd(kind: 'flow-sequence-end' | 'flow-mapping-end'): void {
    this.forgetSimpleKey()
    if (this.flowLevel > 0) {
      this.flowLevel--
      this.simpleKeyOfToken.delete(this.simpleKeys.pop()!.token)
    }
    this.simpleKeyAllowed = false
    this.addIndicator(kind)
  }

  private fetchFlowEntry(): void {
    this.forgetSimpleKey()
    this.simpleKeyAllowed = true
    this.addIndicator('flow-entry')
  }

  private fetchBlockEntry(): void {
    if (this.flowLevel === 0) {
      if (!this.simpleKeyAllowed) this.fail('block sequence entries are not allowed in this context')
      this.rollIndent(this.chars.mark.column, 'block-sequence-start', this.chars.place)
    }
    this.forgetSimpleKey()
    this.simpleKeyAllowed = true
    this.addIndicator('block-entry')
  }

  private fetchKey(): void {
    if (this.flowLevel === 0) {
      if (!this.simpleKeyAllowed) this.fail('mapping keys are not allowed in this context')
      this.rollIndent(this.chars.mark.column, 'block-mapping-start', this.chars.place)
    }
    this.forgetSimpleKey()
    this.simpleKeyAllowed = this.flowLevel === 0
    this.addIndicator('key')
  }

  private fetchValue(): void {
    const key = this.simpleKeys.at(-1)!
    if (this.stillValid(key)) {
      this.add({ kind: 'key', start: key.mark, end: key.mark }, key.token - this.parsed)
      this.rollIndent(key.mark.column, 'block-mapping-start', key.mark, key.token)
      key.possible = false
      this.simpleKeyOfToken.delete(key.token)
      this.simpleKeyAllowed = false
    } else {
      if (this.flowLevel === 0) {
        if (!this.simpleKeyAllowed) this.fail('mapping values are not allowed in this context')
        this.rollIndent(this.chars.mark.column, 'block-mapping-start', this.chars.place)
      }
      this.simpleKeyAllowed = this.flowLevel === 0
    }
    this.addIndicator('value')
  }

  // Anchors, aliases, tags and scalars may be a key; none of them can be followed by one.
  private fetchOne(read: () => Token): void {
    this.saveSimpleKey()
    this.simpleKeyAllowed = false
    this.add(read())
  }
}
