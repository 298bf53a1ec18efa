import { readFileSync } from 'node:fs'
import { Composer, type Document, isMap, isNode, isScalar, LineCounter, Parser, visit } from 'yaml'
import { goYaml } from '../kubernetes/go-yaml.ts'
import { ClusterFileFault } from './problem.ts'
import { Remembered } from './remembered.ts'
import { commentAt, offsetOf } from './yaml-places.ts'

/** One YAML document of a file, with the places of everything in it. */
export interface YamlDocument {
  value: unknown
  /** `file:line:column` of a path in it, or of the nearest place above that exists. */
  at(path: readonly PropertyKey[]): string
  /** The comment that stands before or behind the value at a path. */
  comment(path: readonly PropertyKey[]): string
}

/** Reads every document of a YAML file. Throws {@link ClusterFileFault} with each syntax error's place. */
export function readYaml(file: string, shown = file): YamlDocument[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(error)
    throw new ClusterFileFault('cluster-file-invalid', [{ at: shown, path: '', message: why }], shown)
  }
  return parseYaml(text, shown)
}

/**
 * The documents of a YAML text, read as Kubernetes’ own tools read it, each with the place of every value. The values are
 * the caller's own.
 *
 * @param shown the file, as problems name it
 * @throws Fault with every problem at its line and column
 */
export function parseYaml(text: string, shown: string): YamlDocument[] {
  const { documents, lines, problems } = read.of(text, () => readText(text))
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${shown}:${line}:${col}`
  }
  if (problems.length > 0)
    throw new ClusterFileFault(
      'cluster-file-invalid',
      problems.map(({ offset, message }) => ({ at: place(offset), path: '', message })),
      shown,
    )
  return documents.map(({ value, start, keys }, i) => ({
    value: copyOf(value, new Map()),
    at(path) {
      const [key, ...deeper] = path
      if (key === undefined) return place(start)
      const top = deeper.length === 0 ? keys.get(String(key)) : undefined
      return place(top ?? offsetOf(nodesOf(text)[i]!, path))
    },
    comment: path => commentAt(nodesOf(text)[i]!, path),
  }))
}

/** A document without its nodes, which take some fifty times as much memory as its text. */
interface ReadDocument {
  value: unknown
  /** Where it begins. */
  start: number
  /** Where the keys of a map stand: what is asked for most. */
  keys: ReadonlyMap<string, number>
}

interface ReadText {
  documents: ReadDocument[]
  lines: LineCounter
  problems: Problem[]
}

interface Problem {
  offset: number
  message: string
}

/** What was read last: many steps of a run read the person’s files anew, and most did not change. */
const read = new Remembered<ReadText>(4_000_000)

/** One document after the other, so that the nodes of one alone are in memory. */
function readText(text: string): ReadText {
  const lines = new LineCounter()
  const documents: ReadDocument[] = []
  const wrong: Problem[] = []
  const unmade: Problem[] = []
  const aliased = text.includes('*')
  for (const document of composed(text, lines)) {
    const problems = [...errorsOf(document), ...(aliased ? wrongAliases(document) : [])]
    wrong.push(...problems)
    if (problems.length > 0 || document.contents === null) continue
    try {
      documents.push({
        value: document.toJS({ maxAliasCount: 1000 }),
        start: document.contents.range[0],
        keys: keysOf(document),
      })
    } catch (error) {
      // What is only found out where values are made: a merge of what is no map, more aliases than anybody writes.
      unmade.push({ offset: document.contents.range[0], message: (error as Error).message })
    }
  }
  return { documents, lines, problems: wrong.length > 0 ? wrong : unmade }
}

function composed(text: string, lines: LineCounter): Generator<Document.Parsed, void> {
  const composer = new Composer({
    ...goYaml,
    uniqueKeys: true,
    // What it would print beside its errors goes past whoever asked.
    logLevel: 'error',
  })
  return composer.compose(new Parser(lines.addNewLine).parse(text))
}

/** A value of its own, in which what aliases share is shared still. What is neither a map nor a list is not copied. */
function copyOf(value: unknown, copies: Map<object, unknown>): unknown {
  // The library puts a quoted text together from single characters, and V8 keeps each until one is asked for: that takes
  // thirty times as much memory. The answer must be used, or V8 does not ask.
  if (typeof value === 'string') return Number.isNaN(value.charCodeAt(0)) ? '' : value
  if (value === null || typeof value !== 'object') return value
  const known = copies.get(value)
  if (known !== undefined) return known
  const copy = Array.isArray(value)
    ? value.map(item => copyOf(item, copies))
    : Object.getPrototypeOf(value) === Object.prototype
      ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item, copies)]))
      : value
  copies.set(value, copy)
  return copy
}

/** Nodes of the texts in which a place or a comment was looked for last, for those that come right after. */
const nodes = new Remembered<Document.Parsed[]>(200_000)

/** The documents with all their nodes, without those that are empty. */
function nodesOf(text: string): Document.Parsed[] {
  return nodes.of(text, () => [...composed(text, new LineCounter())].filter(d => d.contents !== null))
}

function keysOf({ contents }: Document.Parsed): ReadonlyMap<string, number> {
  const keys = new Map<string, number>()
  if (!isMap(contents)) return keys
  for (const { key } of contents.items)
    if (isScalar(key) && isNode(key) && key.range && !keys.has(String(key.value)))
      keys.set(String(key.value), key.range[0])
  return keys
}

function errorsOf({ errors }: Document.Parsed): Problem[] {
  return errors.map(({ pos, message }) => ({ offset: pos[0], message }))
}

/** Aliases of nothing, and of something that they are in. */
function wrongAliases(document: Document.Parsed): Problem[] {
  const found: Problem[] = []
  visit(document, {
    Alias(_, alias, above) {
      const meant = alias.resolve(document)
      const wrong = (message: string) => found.push({ offset: alias.range?.[0] ?? 0, message })
      if (!meant) wrong(`no anchor &${alias.source} stands before *${alias.source}`)
      else if (above.some(node => node === meant))
        wrong(`*${alias.source} stands in what it means itself, which has no end`)
    },
  })
  return found
}
