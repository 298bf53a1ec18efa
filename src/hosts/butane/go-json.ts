import { quoted } from './byte-text.ts'
import { nameOf, type Struct, type StructValue, type Type, type Value, zeroOf } from './go-types.ts'

/** JSON that is none, or does not fit its type, in the words of Go's encoding/json. */
export class JsonFault extends Error {}

/** A value of JSON as it stands in the text, keys in their order and as often as they come. */
export type JsonNode =
  | { kind: 'null' }
  | { kind: 'bool'; value: boolean }
  | { kind: 'number'; text: string }
  | { kind: 'string'; value: string }
  | { kind: 'array'; items: JsonNode[] }
  | { kind: 'object'; pairs: [key: string, value: JsonNode][] }

/**
 * Reads a text of JSON.
 * @throws JsonFault
 */
export function parseJson(text: string): JsonNode {
  return new JsonReader(text).whole()
}

/** Whether a text is JSON that Go can hold: numbers have their limits. */
export function isJson(text: string): boolean {
  const fits = (node: JsonNode): boolean => {
    if (node.kind === 'number') return Number.isFinite(Number(node.text))
    if (node.kind === 'array') return node.items.every(fits)
    return node.kind !== 'object' || node.pairs.every(([, value]) => fits(value))
  }
  try {
    return fits(parseJson(text))
  } catch (error) {
    if (error instanceof JsonFault) return false
    throw error
  }
}

class JsonReader {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  whole(): JsonNode {
    const node = this.value()
    this.blanks()
    if (this.at < this.text.length) this.unexpected('after top-level value')
    return node
  }

  private blanks(): void {
    while (this.at < this.text.length && ' \t\r\n'.includes(this.text[this.at]!)) this.at++
  }

  private unexpected(context: string): never {
    const code = this.text.codePointAt(this.at)
    // At its end the library reads one more blank, and only then misses the rest.
    if (code === undefined)
      throw new JsonFault(
        /^(?:after object|after array|after top|looking|in string literal)/.test(context)
          ? 'unexpected end of JSON input'
          : `invalid character ' ' ${context}`,
      )
    // The library looks at bytes, and shows the first one of a character as if it were one.
    const byte = String.fromCharCode(Buffer.from(String.fromCodePoint(code))[0]!)
    const shown = byte === "'" ? "'\\''" : byte === '"' ? "'\"'" : `'${quoted(byte).slice(1, -1)}'`
    throw new JsonFault(`invalid character ${shown} ${context}`)
  }

  private value(): JsonNode {
    this.blanks()
    const char = this.text[this.at]
    if (char === '{') return this.object()
    if (char === '[') return this.array()
    if (char === '"') return { kind: 'string', value: this.string() }
    if (char === 't') return this.literal('true', { kind: 'bool', value: true })
    if (char === 'f') return this.literal('false', { kind: 'bool', value: false })
    if (char === 'n') return this.literal('null', { kind: 'null' })
    if (char !== undefined && /[-0-9]/.test(char)) return this.number()
    return this.unexpected('looking for beginning of value')
  }

  private literal(word: string, node: JsonNode): JsonNode {
    for (const char of word) {
      if (this.text[this.at] !== char) this.unexpected(`in literal ${word} (expecting '${char}')`)
      this.at++
    }
    return node
  }

  private number(): JsonNode {
    const from = this.at
    const digits = (context: string) => {
      if (!/[0-9]/.test(this.text[this.at] ?? '')) this.unexpected(context)
      while (/[0-9]/.test(this.text[this.at] ?? '')) this.at++
    }
    if (this.text[this.at] === '-') this.at++
    if (this.text[this.at] === '0') this.at++
    else digits('in numeric literal')
    if (this.text[this.at] === '.') {
      this.at++
      digits('after decimal point in numeric literal')
    }
    if (/[eE]/.test(this.text[this.at] ?? '')) {
      this.at++
      if (/[-+]/.test(this.text[this.at] ?? '')) this.at++
      digits('in exponent of numeric literal')
    }
    return { kind: 'number', text: this.text.slice(from, this.at) }
  }

  private string(): string {
    const from = this.at++
    for (;;) {
      const char = this.text[this.at]
      if (char === undefined || char < ' ') this.unexpected('in string literal')
      this.at++
      if (char === '"') break
      if (char !== '\\') continue
      const letter = this.text[this.at] ?? ''
      if (letter === 'u') {
        this.at++
        for (let i = 0; i < 4; i++, this.at++)
          if (!/[0-9a-fA-F]/.test(this.text[this.at] ?? ''))
            this.unexpected('in \\u hexadecimal character escape')
      } else if (letter !== '' && '"\\/bfnrt'.includes(letter)) this.at++
      else this.unexpected('in string escape code')
    }
    // Halves of surrogate pairs become the replacement character.
    return Buffer.from(JSON.parse(this.text.slice(from, this.at)) as string).toString()
  }

  private array(): JsonNode {
    const items: JsonNode[] = []
    this.at++
    this.blanks()
    if (this.text[this.at] === ']') {
      this.at++
      return { kind: 'array', items }
    }
    for (;;) {
      items.push(this.value())
      this.blanks()
      const char = this.text[this.at]
      if (char !== ',' && char !== ']') this.unexpected('after array element')
      this.at++
      if (char === ']') return { kind: 'array', items }
    }
  }

  private object(): JsonNode {
    const pairs: [string, JsonNode][] = []
    this.at++
    this.blanks()
    if (this.text[this.at] === '}') {
      this.at++
      return { kind: 'object', pairs }
    }
    for (;;) {
      this.blanks()
      if (this.text[this.at] !== '"') this.unexpected('looking for beginning of object key string')
      const key = this.string()
      this.blanks()
      if (this.text[this.at] !== ':') this.unexpected('after object key')
      this.at++
      pairs.push([key, this.value()])
      this.blanks()
      const char = this.text[this.at]
      if (char !== ',' && char !== '}') this.unexpected('after object key:value pair')
      this.at++
      if (char === '}') return { kind: 'object', pairs }
    }
  }
}

/**
 * Reads a node into a struct as Go does: keys in any case, null changes nothing, what does not fit is passed over until
 * all is read.
 * @throws JsonFault about the first value that does not fit.
 */
export function decodeJson(node: JsonNode, type: Struct): StructValue {
  const faults: string[] = []
  const value = decode(node, type, zeroOf(type), { owner: '', path: [] }, faults)
  if (faults[0] !== undefined) throw new JsonFault(faults[0])
  return value as StructValue
}

interface Context {
  owner: string
  path: string[]
}

function decode(node: JsonNode, type: Type, present: Value, context: Context, faults: string[]): Value {
  if (node.kind === 'null') return type.kind === 'pointer' || type.kind === 'slice' ? undefined : present
  if (type.kind === 'pointer')
    return decode(node, type.to, present === undefined ? zeroOf(type.to) : present, context, faults)
  if (node.kind === 'object' && type.kind === 'struct') {
    const value = present as StructValue
    for (const [key, child] of node.pairs) {
      const field =
        type.fields.find(f => f.key === key) ??
        type.fields.find(f => f.key.toLowerCase() === key.toLowerCase())
      if (!field) continue
      const inner = { owner: type.plainName, path: [...context.path, field.key] }
      value[field.key] = decode(child, field.type, value[field.key], inner, faults)
    }
    return value
  }
  if (node.kind === 'array' && type.kind === 'slice')
    return node.items.map(item => decode(item, type.of, zeroOf(type.of), context, faults))
  if (node.kind === 'string' && type.kind === 'string') return node.value
  if (node.kind === 'bool' && type.kind === 'bool') return node.value
  let what: string = node.kind
  if (node.kind === 'number' && type.kind === 'int') {
    if (/^-?[0-9]+$/.test(node.text) && BigInt.asIntN(64, BigInt(node.text)) === BigInt(node.text)) {
      const int = Number(node.text)
      return Number.isSafeInteger(int) ? int : BigInt(node.text)
    }
    what = `number ${node.text}`
  }
  const where =
    context.path.length === 0 ? 'Go value' : `Go struct field ${context.owner}.${context.path.join('.')}`
  faults.push(`json: cannot unmarshal ${what} into ${where} of type ${nameOf(type)}`)
  return present
}
