import { isScalar, parseAllDocuments, type Scalar, visit } from 'yaml'
import { Fault } from '../../runbook/fault.ts'

/** One `${NAME}` in a text. Offsets count UTF-16 units. */
interface Occurrence {
  name: string
  from: number
  to: number
  /** `lithium.bu:12:8`. */
  at: string
}

/** Says what a variable is, or why nobody knows. */
export type Lookup = (name: string) => Promise<{ value: string } | { missing: string }>

// One that follows another dollar is left alone: that is how systemd and make write a dollar.
const variable = /(?<!\$)\$\{([A-Z][A-Z0-9_]*)\}/g

/** The variable that is always a dollar, so that `${DOLLAR}{NAME}` gives `${NAME}`; people do the same for envsubst. */
const dollar = 'DOLLAR'

/** Names of the variables in a Butane file that somebody must know, in order. Those in comments count, too. */
export function variablesIn(text: string): string[] {
  return [...new Set([...text.matchAll(variable)].map(m => m[1]!))].filter(name => name !== dollar)
}

/**
 * Replaces `${NAME}` in a Butane file by its value, as `envsubst` does, but so that the file keeps its meaning: a value
 * is always the text of the scalar that it stands in, whatever characters it has, and lines stay where they were.
 *
 * - Only `${NAME}` with a name of capitals, digits and `_` is a variable. `$NAME`, `${name}`, `${NAME:-default}` and
 *   `$${NAME}` are the machine's own and stay; for a `${NAME}` that the machine shall expand, write `${DOLLAR}{NAME}`.
 * - In a comment nothing is replaced.
 * - An unquoted value that is a number or a boolean becomes one, as with envsubst.
 *
 * Fault `ignition-variable-unset` names every variable that nobody knows, with all its places; `butane-unreadable` a
 * file that is no YAML, `ignition-variable-misplaced` a variable outside of any value.
 */
export async function substitute(text: string, shown: string, lookup: Lookup): Promise<string> {
  const found = occurrencesIn(text, shown)
  if (found.length === 0) return text
  const marked = mark(text, found)
  const scalars = scalarsOf(marked.text, shown)
  const used = new Set<Occurrence>()
  const places = scalars.flatMap(scalar => {
    const [from = 0, to = 0] = scalar.range ?? []
    const within = found.filter(o => o.from >= from && o.to <= to)
    for (const one of within) used.add(one)
    return within.length > 0 ? [{ scalar, from, to, within }] : []
  })
  refuseMisplaced(text, shown, found, used)
  const values = await valuesOf([...used], lookup)
  const filled = (marker: string) =>
    marker.replaceAll(marked.any, (run: string) => values.get(marked.nameOf(run)) ?? run)

  let result = ''
  let end = 0
  for (const { scalar, from, to, within } of places) {
    result += text.slice(end, from) + written(scalar, text.slice(from, to), from, within, values, filled)
    end = to
  }
  result += text.slice(end)
  confirm(
    result,
    shown,
    scalars.map(s => filled(meant(s))),
  )
  return result
}

function occurrencesIn(text: string, shown: string): Occurrence[] {
  return [...text.matchAll(variable)].map(match => ({
    name: match[1]!,
    from: match.index,
    to: match.index + match[0].length,
    at: placeOf(text, match.index, shown),
  }))
}

function placeOf(text: string, offset: number, shown: string): string {
  const before = text.slice(0, offset).split('\n')
  return `${shown}:${before.length}:${[...(before.at(-1) ?? '')].length + 1}`
}

/**
 * The text with a run of one letter in the place of each variable: `${` would end a plain scalar in `[…]`, and the
 * value's own characters must not decide what the file is. The letters are of the private use area, and not in the text.
 */
function mark(text: string, found: Occurrence[]) {
  const letters = new Map<string, string>()
  let next = 0xe000
  for (const { name } of found) {
    if (letters.has(name)) continue
    while (text.includes(String.fromCharCode(next))) next += 1
    letters.set(name, String.fromCharCode(next))
    next += 1
  }
  let marked = ''
  let end = 0
  for (const { name, from, to } of found) {
    marked += text.slice(end, from) + letters.get(name)!.repeat(to - from)
    end = to
  }
  const lengths = new Map([...letters].map(([name, letter]) => [letter, name.length + 3]))
  const names = new Map([...letters].map(([name, letter]) => [letter, name]))
  return {
    text: marked + text.slice(end),
    any: new RegExp([...lengths].map(([letter, length]) => `${letter}{${length}}`).join('|'), 'g'),
    nameOf: (run: string) => names.get(run[0]!)!,
  }
}

function scalarsOf(text: string, shown: string): Scalar[] {
  const documents = parseAllDocuments(text, { uniqueKeys: false, logLevel: 'error', prettyErrors: false })
  const scalars: Scalar[] = []
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors
    if (error)
      throw new Fault({
        code: 'butane-unreadable',
        blame: 'operator',
        message: `${shown} is not YAML (${error.code.toLowerCase().replaceAll('_', ' ')}): its variables cannot be replaced`,
        remedy: 'Mend the place; nothing was changed',
        at: placeOf(text, error.pos[0], shown),
      })
    visit(document, { Scalar: (_, node) => void (isScalar(node) && scalars.push(node)) })
  }
  return scalars.sort((a, b) => (a.range?.[0] ?? 0) - (b.range?.[0] ?? 0))
}

/** A variable that is in no scalar stands in a comment, or where no value can be. */
function refuseMisplaced(text: string, shown: string, found: Occurrence[], used: Set<Occurrence>): void {
  const wrong = found.filter(
    o => !used.has(o) && !text.slice(text.lastIndexOf('\n', o.from) + 1, o.from).includes('#'),
  )
  if (wrong.length === 0) return
  throw new Fault({
    code: 'ignition-variable-misplaced',
    blame: 'operator',
    message: `${shown} has a variable where no value can be: ${wrong.map(o => `${o.at} \${${o.name}}`).join(', ')}`,
    remedy: 'Use variables in values only',
    ...(wrong[0] ? { at: wrong[0].at } : {}),
  })
}

async function valuesOf(used: Occurrence[], lookup: Lookup): Promise<Map<string, string>> {
  const values = new Map([[dollar, '$']])
  const missing: { name: string; why: string }[] = []
  for (const name of new Set(used.map(o => o.name))) {
    if (name === dollar) continue
    const answer = await lookup(name)
    if ('value' in answer && answer.value !== '') values.set(name, answer.value)
    else missing.push({ name, why: 'missing' in answer ? answer.missing : 'it is empty' })
  }
  if (missing.length === 0) return values
  const places = (name: string) => used.filter(o => o.name === name).map(o => o.at)
  throw new Fault({
    code: 'ignition-variable-unset',
    blame: 'operator',
    message: [
      `${missing.length === 1 ? 'a variable has' : `${missing.length} variables have`} no value:`,
      ...missing.map(({ name, why }) => `${places(name).join(', ')} \${${name}}: ${why}`),
    ].join('\n'),
    remedy: `Give ${missing.map(m => m.name).join(', ')} as fields of the secret "ignition" in one of secrets.from, or as environment variables of these names; if the machine itself shall expand it, write \${DOLLAR}{${missing[0]?.name}}`,
    at: places(missing[0]!.name)[0]!,
  })
}

/** The scalar as it stands in the file afterwards. Keeps its way of writing where the value allows that. */
function written(
  scalar: Scalar,
  source: string,
  offset: number,
  within: Occurrence[],
  values: Map<string, string>,
  filled: (marker: string) => string,
): string {
  const paste = (form: (value: string) => string) => {
    let result = ''
    let end = 0
    for (const { name, from, to } of within) {
      result += source.slice(end, from - offset) + form(values.get(name)!)
      end = to - offset
    }
    return result + source.slice(end)
  }
  const quiet = within.every(o => isQuiet(values.get(o.name)!))
  const quoted = () => doubleQuoted(filled(meant(scalar)), source)
  switch (scalar.type) {
    case 'QUOTE_DOUBLE':
      return paste(value => escaped(value).replaceAll(/^ | $/g, '\\x20'))
    case 'QUOTE_SINGLE':
      return quiet ? paste(value => value.replaceAll("'", "''")) : quoted()
    case 'BLOCK_LITERAL':
    case 'BLOCK_FOLDED':
      return quiet ? paste(value => value) : quoted()
    default: {
      const plain = paste(value => value)
      return !plain.includes('\n') && staysPlain(plain) ? plain : quoted()
    }
  }
}

/** One line, nothing that YAML would not print, and no blank at its edges that folding would take away. */
function isQuiet(value: string): boolean {
  return value.trim() === value && !/[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]/.test(value)
}

/** Whether a text is one plain scalar, in a block as in `[…]`, and not nothing. */
function staysPlain(text: string): boolean {
  return [`- ${text}\n`, `[ ${text} ]\n`].every(probe => {
    const [document] = parseAllDocuments(probe, { logLevel: 'silent' })
    const item = document?.errors.length === 0 ? document.getIn([0], true) : undefined
    return (
      isScalar(item) && item.type === 'PLAIN' && item.source === text && item.value !== null && text !== '<<'
    )
  })
}

/** What a scalar says: a plain one as it is written, since its type is for the reader to decide. */
function meant(scalar: Scalar): string {
  return scalar.type === 'PLAIN' ? (scalar.source ?? '') : String(scalar.value)
}

function escaped(value: string): string {
  return JSON.stringify(value)
    .slice(1, -1)
    .replaceAll(/[\x7f-\x9f\u2028\u2029\ufeff]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A text in double quotes on as many lines as the source had, so that places in messages stay true. */
function doubleQuoted(value: string, source: string): string {
  const lines = source.split('\n')
  const ends = lines.at(-1) === '' && lines.length > 1
  const indent = /^\s+/.exec(lines.slice(1).find(l => l.trim() !== '') ?? '')?.[0] ?? ' '
  const more = lines.length - 1 - (ends ? 1 : 0)
  // A backslash before the end of a line takes the line break and the indentation after it away.
  return `"${escaped(value)}${`\\\n${indent}`.repeat(more)}"${ends ? '\n' : ''}`
}

/** The file says what it is meant to say, and nothing else has moved. A difference is ours. */
function confirm(text: string, shown: string, expected: string[]): void {
  const found = scalarsOf(text, shown).map(meant)
  if (found.length === expected.length && found.every((value, i) => value === expected[i])) return
  throw new Fault({
    code: 'ignition-variable-breaks-file',
    blame: 'bug',
    message: `with the values of its variables ${shown} would say something else than it is meant to`,
    remedy: 'Put the variable between double quotes; and report this',
    at: shown,
  })
}
