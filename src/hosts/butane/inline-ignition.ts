import type { Entry } from './entries.ts'
import type { Path } from './places.ts'
import type { Spec } from './specs.ts'

/** What is wrong with a config that is written into `ignition.config`. */
export function inlineIgnition(
  _text: string,
  _path: Path,
  _spec: Spec,
): { entries: Entry[]; fault?: string } {
  return { entries: [] }
}
