import type { YamlNode } from './yaml/yaml-node.ts'

/** A place in a config: keys and indices from the top. A key itself, not its value, is an object. */
export type Path = readonly PathPart[]
export type PathPart = string | number | { key: string }

/** Line and column, from 1. */
export interface Position {
  line: number
  column: number
}

/** As Butane writes a place: `$.storage.files.0.mode`. */
export function showPath(path: Path): string {
  return ['$', ...path.map(p => (typeof p === 'object' ? p.key : p))].join('.')
}

/** What the text has at a place; undefined where it has nothing. */
export function nodeAt(root: YamlNode, path: Path): YamlNode | undefined {
  let node = root
  for (const [i, part] of path.entries()) {
    if (typeof part === 'number') {
      const item = node.kind === 'sequence' ? node.items[part] : undefined
      if (!item) return undefined
      node = item
      continue
    }
    if (node.kind !== 'mapping') return undefined
    const name = typeof part === 'object' ? part.key : part
    // Of keys that come twice, the last counts.
    const pair = node.pairs.findLast(([key]) => keyText(key) === name)
    if (!pair) return undefined
    if (typeof part === 'object') return i === path.length - 1 ? pair[0] : undefined
    node = pair[1]
  }
  return node
}

/** The text of a key as it stands there; of an alias, the name of its anchor. */
export function keyText(key: YamlNode): string {
  return key.kind === 'scalar' || key.kind === 'alias' ? key.value : ''
}

/** Where in the text a place is, or the closest thing above it that is there. */
export function positionOf(root: YamlNode, path: Path): Position {
  for (let length = path.length; length >= 0; length--) {
    const node = nodeAt(root, path.slice(0, length))
    if (node) return { line: node.line, column: node.column }
  }
  return { line: root.line, column: root.column }
}
