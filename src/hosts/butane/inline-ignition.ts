import { duplicateEntries } from './duplicates.ts'
import { type Entry, notesInto } from './entries.ts'
import { decodeJson, JsonFault, type JsonNode, parseJson } from './go-json.ts'
import type { Struct, StructValue } from './go-types.ts'
import { ignitionProblems, versionFault } from './ignition-checks.ts'
import { type Path, showPath } from './places.ts'
import type { Spec } from './specs.ts'
import { walkValue } from './walk.ts'

/**
 * What is wrong with an Ignition config that is written into `ignition.config`. Its places are those within it, and are
 * shown where the outer config happens to have the same ones: so does Butane.
 * @param path of the resource that has it.
 */
export function inlineIgnition(text: string, path: Path, spec: Spec): { entries: Entry[]; fault?: string } {
  const type = spec.types('Config')
  const entries: Entry[] = []
  const notes = notesInto(entries, 'source')
  let root: JsonNode
  let config: StructValue
  try {
    root = parseJson(text)
    config = decodeJson(root, type)
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error
    notes.error([], error.message)
    return { entries, fault: 'config is not valid' }
  }
  const asSource = (found: Entry[]): Entry[] => found.map(entry => ({ ...entry, of: 'source' }))
  const ignition = config.ignition as StructValue
  const version = versionFault(ignition.version as string, spec.ignition)
  if (version === 'unsupported config version') {
    notes.warning(
      [...path, 'version'],
      'skipping validation for the merge/replace ignition config due to an unkown version',
    )
    return { entries }
  }
  const problems = ignitionProblems(type, config, spec.ignition, true)
  const found = asSource([...problems, ...duplicateEntries(type, config), ...unknownKeys(type, config, root)])
  return { entries: found }
}

function unknownKeys(type: Struct, config: StructValue, root: JsonNode): Entry[] {
  const list: Entry[] = []
  const notes = notesInto(list, 'source')
  walkValue(type, config, [], (here, _, path) => {
    if (here.kind !== 'struct') return
    const node = nodeAt(root, path)
    if (!node) return
    if (node.kind !== 'object') {
      notes.warning(
        path,
        `context tree does not match content tree at ${showPath(path)}. Line and column reporting may be inconsistent. Unused keys may not be reported`,
      )
      return
    }
    for (const key of new Set(node.pairs.map(([k]) => k)))
      if (!here.fields.some(f => f.key === key)) notes.warning([...path, { key }], `unused key ${key}`)
  })
  return list
}

function nodeAt(root: JsonNode, path: Path): JsonNode | undefined {
  let node: JsonNode | undefined = root
  for (const part of path) {
    if (typeof part === 'number') node = node?.kind === 'array' ? node.items[part] : undefined
    else node = node?.kind === 'object' ? node.pairs.findLast(([key]) => key === part)?.[1] : undefined
  }
  return node
}
