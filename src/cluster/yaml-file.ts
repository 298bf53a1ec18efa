import { readFileSync } from 'node:fs'
import {
  type Document,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
} from 'yaml'
import { goYaml } from '../kubernetes/go-yaml.ts'
import { ClusterFileFault, type Problem } from './problem.ts'

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
 * The documents of a YAML text, read as Kubernetes’ own tools read it, each with the place of every value.
 *
 * @param shown the file, as problems name it
 * @throws Fault with every problem at its line and column
 */
export function parseYaml(text: string, shown: string): YamlDocument[] {
  const { documents, lines } = parsed(text)
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${shown}:${line}:${col}`
  }
  const problems: Problem[] = documents.flatMap(document =>
    [
      ...document.errors.map(e => ({
        offset: e.pos[0],
        message: e.message.replace(/(?: at line \d+, column \d+)?:?\n[\s\S]*$/, ''),
      })),
      ...wrongAliases(document),
    ].map(({ offset, message }) => ({ at: place(offset), path: '', message })),
  )
  const whole = () => {
    if (problems.length > 0) throw new ClusterFileFault('cluster-file-invalid', problems, shown)
  }
  whole()
  const found = documents
    .filter(d => d.contents !== null)
    .map(document => ({
      value: madeOf(document, (offset, message) => problems.push({ at: place(offset), path: '', message })),
      at: (path: readonly PropertyKey[]) => place(offsetOf(document, path)),
      comment: (path: readonly PropertyKey[]) => commentAt(document, path),
    }))
  whole()
  return found
}

/** What is only found out where a document's values are made: a merge of what is no map, more aliases than anybody writes. */
function madeOf(document: Document.Parsed, problem: (offset: number, message: string) => void): unknown {
  try {
    return document.toJS({ maxAliasCount: 1000 })
  } catch (error) {
    problem(document.contents?.range?.[0] ?? 0, (error as Error).message)
    return undefined
  }
}

/** Aliases of nothing, and of something that they are in. */
function wrongAliases(document: Document.Parsed): { offset: number; message: string }[] {
  const found: { offset: number; message: string }[] = []
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

interface Parsed {
  documents: Document.Parsed[]
  lines: LineCounter
}

/** What was parsed last, oldest first: many steps of a run read the person’s files anew, and most did not change. */
const kept = new Map<string, Parsed>()
/** Characters; what is made of them takes some fifty times as much memory. */
const keptAtMost = 1_000_000
let keptNow = 0

/** A text's documents, which nobody may change: whoever asked for the same text before has them, too. */
function parsed(text: string): Parsed {
  const before = kept.get(text)
  if (before) return before
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, {
    ...goYaml,
    lineCounter: lines,
    uniqueKeys: true,
    // What it would print beside its errors goes past whoever asked.
    logLevel: 'error',
  })
  // Of an empty text it is no list.
  const now = { documents: Array.isArray(documents) ? documents : [], lines }
  kept.set(text, now)
  keptNow += text.length
  for (const oldest of kept.keys()) {
    if (keptNow <= keptAtMost) break
    kept.delete(oldest)
    keptNow -= oldest.length
  }
  return now
}

/** Where a path stands: at its key in a map, at the item in a list, or at the nearest thing above it. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true)
    const last = path[length - 1]
    if (isMap(parent)) {
      const pair = parent.items.find(i => isScalar(i.key) && String(i.key.value) === String(last))
      if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0]
    }
    const node = document.getIn(path.slice(0, length), true) as Node | undefined
    if (isNode(node) && node.range) return node.range[0]
  }
  return document.contents?.range?.[0] ?? 0
}

function commentAt(document: Document.Parsed, path: readonly PropertyKey[]): string {
  const node = document.getIn(path, true) as Node | undefined
  const parent = document.getIn(path.slice(0, -1), true)
  const pair = isMap(parent) ? parent.items.find(i => isPair(i) && i.value === node) : undefined
  const key = pair && isNode(pair.key) ? pair.key : undefined
  return [key?.commentBefore, isNode(node) ? node.comment : undefined]
    .filter(Boolean)
    .join(' ')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim()
}
