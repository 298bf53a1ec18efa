import { type Document, isMap, isNode, isPair, isScalar, type Node } from 'yaml'

/** Where a path stands: at its key in a map, at the item in a list, or at the nearest thing above it. */
export function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
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

/** The comment that stands before or behind the value at a path. */
export function commentAt(document: Document.Parsed, path: readonly PropertyKey[]): string {
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
