import { isEmpty, type Struct, type StructValue, type Type, type Value } from './go-types.ts'

/** A compiled config as Butane writes it, without a line feed at the end. */
export function writeIgnition(type: Struct, config: StructValue): string {
  return write(type, config)
}

/** JSON over several lines, as Go's encoder indents it. */
export function indentJson(text: string): string {
  let out = ''
  let depth = 0
  const newline = () => `\n${'  '.repeat(depth)}`
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|\[\]|\{\}|[[\]{},:]|[^\s"[\]{},:]+/g)) {
    if (token === '{' || token === '[') {
      depth++
      out += token + newline()
    } else if (token === '}' || token === ']') {
      depth--
      out += newline() + token
    } else if (token === ',') out += `,${newline()}`
    else out += token === ':' ? ': ' : token
  }
  return out
}

function write(type: Type, value: Value): string {
  if (value === undefined) return 'null'
  switch (type.kind) {
    case 'pointer':
      return write(type.to, value)
    case 'struct':
      return `{${type.fields
        .filter(f => f.always || !isEmpty(f.type, (value as StructValue)[f.key]))
        .map(f => `"${f.key}":${write(f.type, (value as StructValue)[f.key])}`)
        .join(',')}}`
    case 'slice':
      return `[${(value as Value[]).map(item => write(type.of, item)).join(',')}]`
    case 'string':
      return writeString(value as string)
    default:
      return String(value)
  }
}

const shortEscapes: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/** A string of JSON as Go writes it: safe to stand in HTML. */
function writeString(text: string): string {
  const escaped = text.replaceAll(
    /["\\\x00-\x1f<>&\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    char => {
      const code = char.charCodeAt(0)
      if (code >= 0xd800 && code <= 0xdfff) return '\\ufffd'
      return shortEscapes[char] ?? `\\u${code.toString(16).padStart(4, '0')}`
    },
  )
  return `"${escaped}"`
}
