import type { StructValue, Type, Value } from './go-types.ts'
import type { Path } from './places.ts'

/** Visits a value and everything below it, what contains before what is contained; nothing that is absent. */
export function walkValue(
  type: Type,
  value: Value,
  path: Path,
  visit: (type: Type, value: Value, path: Path) => void,
): void {
  switch (type.kind) {
    case 'pointer':
      if (value !== undefined) walkValue(type.to, value, path, visit)
      return
    case 'slice':
      visit(type, value, path)
      ;((value as Value[] | undefined) ?? []).forEach((item, i) => {
        walkValue(type.of, item, [...path, i], visit)
      })
      return
    case 'struct':
      visit(type, value, path)
      for (const field of type.fields)
        walkValue(field.type, (value as StructValue)[field.key], [...path, field.key], visit)
      return
    default:
      visit(type, value, path)
  }
}
