import { type Entry, notesInto } from './entries.ts'
import { isEmpty, type StructValue, type Value } from './go-types.ts'
import { ignitionTypes } from './ignition-schema.ts'
import type { Spec } from './specs.ts'
import { walkValue } from './walk.ts'

/** Finds what the Ignition of the image has no field for: it would pass over it in silence. */
export function fieldsBeyondTarget(config: StructValue, spec: Spec): Entry[] {
  const list: Entry[] = []
  const notes = notesInto(list, 'compiled')
  const target = ignitionTypes(spec.ignition)
  walkValue(spec.types('Config'), config, [], (type, value, path) => {
    if (type.kind !== 'struct') return
    const known = target(type.plainName).fields
    for (const field of type.fields)
      if (!known.some(f => f.key === field.key) && !isEmpty(field.type, (value as StructValue)[field.key]))
        notes.error(
          [...path, field.key],
          `${field.key} is not known to Ignition spec ${spec.ignitionVersion}, which the image accepts`,
        )
  })
  return list
}

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
