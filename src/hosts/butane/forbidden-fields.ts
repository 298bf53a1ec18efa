import { type Entry, notesInto } from './entries.ts'
import { isEmpty, type StructValue, type Value } from './go-types.ts'
import type { Spec } from './specs.ts'

/** Finds what Ignition would do and this variant's systems cannot. */
export function forbiddenFields(config: StructValue, spec: Spec): Entry[] {
  const list: Entry[] = []
  if (spec.variant !== 'flatcar') return list
  const key = spec.experimental ? 'cex' : 'clevis'
  const text = spec.experimental
    ? 'cex is not currently supported on the target platform'
    : 'clevis is not supported in this spec version'
  const type = spec.types('Luks').fields.find(f => f.key === key)?.type
  const volumes = ((config.storage as StructValue).luks as Value[] | undefined) ?? []
  volumes.forEach((volume, i) => {
    if (type && !isEmpty(type, (volume as StructValue)[key]))
      notesInto(list, 'compiled').error(['storage', 'luks', i, key], text)
  })
  return list
}
