import type { StructValue, Type, Value } from './go-types.ts'
import type { Path } from './places.ts'

/** Which place of the source each place of the compiled config comes from. */
export class Translations {
  private readonly from = new Map<string, Path>()

  /** Says that `to` comes from `from`. What was said of `to` before no longer counts. */
  add(from: Path, to: Path): void {
    this.from.set(to.join('.'), from)
  }

  /** Where a place of the compiled config comes from. */
  get(to: Path): Path | undefined {
    return this.from.get(to.join('.'))
  }

  /** Says of everything in `value`, which is at `to`, that it comes from `from`. */
  addAll(from: Path, to: Path, type: Type, value: Value): void {
    for (const path of placesIn(type, value)) this.add(from, [...to, ...path])
    this.add(from, to)
  }

  get size(): number {
    return this.from.size
  }
}

/** Every place below a value, fields that are not set included. */
function placesIn(type: Type, value: Value): Path[] {
  switch (type.kind) {
    case 'pointer':
      return value === undefined ? [] : placesIn(type.to, value)
    case 'slice':
      return ((value as Value[] | undefined) ?? []).flatMap((item, i) => [
        ...placesIn(type.of, item).map(p => [i, ...p]),
        [i],
      ])
    case 'struct':
      return type.fields.flatMap(f => [
        ...placesIn(f.type, (value as StructValue)[f.key]).map(p => [f.key, ...p]),
        [f.key],
      ])
    default:
      return []
  }
}

/** The key in Butane of a key in Ignition. */
export function snakeCase(key: string): string {
  return key.replaceAll(/MiB|[A-Z]/g, part => `_${part}`).toLowerCase()
}

/** The key in Ignition of a key in Butane. */
export function camelCase(key: string): string {
  return key.replace(/_mib$/, 'MiB').replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}
