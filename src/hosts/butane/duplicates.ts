import { type Entry, notesInto } from './entries.ts'
import { ignoredDuplicates, keyOf, sharedList } from './entry-keys.ts'
import type { Struct, StructValue, Value } from './go-types.ts'
import { walkValue } from './walk.ts'

/** Finds entries of lists that have the key of one before them. */
export function duplicateEntries(type: Struct, config: StructValue): Entry[] {
  const list: Entry[] = []
  const notes = notesInto(list, 'compiled')
  walkValue(type, config, [], (here, value, path) => {
    if (here.kind !== 'struct') return
    const seen = new Map<string, Set<string>>()
    for (const field of here.fields) {
      if (field.type.kind !== 'slice' || ignoredDuplicates(here).includes(field.key)) continue
      const { of } = field.type
      const name = sharedList(here, field.key)
      const keys = seen.get(name) ?? new Set()
      seen.set(name, keys)
      const items = ((value as StructValue)[field.key] as Value[] | undefined) ?? []
      items.forEach((item, i) => {
        const key = keyOf(of, item)
        if (keys.has(key)) notes.error([...path, field.key, i], 'duplicate entry defined')
        keys.add(key)
      })
    }
  })
  return list
}
