import { type Entry, notesInto } from './entries.ts'
import type { Struct, StructValue } from './go-types.ts'
import { keyText, nodeAt, showPath } from './places.ts'
import { walkValue } from './walk.ts'
import type { YamlNode } from './yaml/yaml-node.ts'

/** Warns of every key that the schema does not have. */
export function unusedKeys(schema: Struct, source: StructValue, root: YamlNode): Entry[] {
  const list: Entry[] = []
  const notes = notesInto(list, 'source')
  walkValue(schema, source, [], (type, _, path) => {
    if (type.kind !== 'struct') return
    const node = nodeAt(root, path)
    if (!node) return
    if (node.kind !== 'mapping') {
      notes.warning(
        path,
        `context tree does not match content tree at ${showPath(path)}. Line and column reporting may be inconsistent. Unused keys may not be reported`,
      )
      return
    }
    const known = new Set(type.fields.map(f => f.key))
    for (const key of new Set(node.pairs.map(([k]) => keyText(k))))
      if (!known.has(key)) notes.warning([...path, { key }], `unused key ${key}`)
  })
  return list
}
