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
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { ...goYaml, lineCounter: lines, uniqueKeys: true })
  if (!Array.isArray(documents)) return []
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${shown}:${line}:${col}`
  }
  const problems: Problem[] = documents.flatMap(d =>
    d.errors.map(e => ({ at: place(e.pos[0]), path: '', message: e.message.split('\n')[0] ?? e.message })),
  )
  if (problems.length > 0) throw new ClusterFileFault('cluster-file-invalid', problems, shown)
  return documents
    .filter(d => d.contents !== null)
    .map(document => ({
      value: document.toJS({ maxAliasCount: 1000 }) as unknown,
      at: path => place(offsetOf(document, path)),
      comment: path => commentAt(document, path),
    }))
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
