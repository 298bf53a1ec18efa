import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { ClusterFileFault } from './problem.ts'
import { readYaml, type YamlDocument } from './yaml-file.ts'

/** Keys that one map has together, each with its value; it stands where the last of them does. */
export type Entry = Readonly<Record<string, string>>

/**
 * Where the first of some entries stands in the YAML files of a folder, or in one file: `system/cilium/values.yaml:12:1`,
 * paths relative to `root`. Undefined when none stands anywhere as it is: a template may have made it.
 */
export function namedWhere(entries: readonly Entry[], place: string, root: string): string | undefined {
  if (!existsSync(place)) return undefined
  for (const file of filesOf(place))
    for (const document of documentsOf(file, relative(root, file))) {
      const path = pathOf(entries, document.value)
      if (path) return document.at(path)
    }
  return undefined
}

function filesOf(place: string): string[] {
  if (statSync(place).isFile()) return [place]
  return readdirSync(place, { recursive: true, encoding: 'utf8' })
    .filter(name => /\.ya?ml$/.test(name) && !/(^|\/)(charts|\.git)\//.test(name))
    .sort()
    .map(name => join(place, name))
    .filter(file => statSync(file).isFile())
}

/** A chart's template is no YAML yet, and holds no entry either. */
function documentsOf(file: string, shown: string): YamlDocument[] {
  try {
    return readYaml(file, shown)
  } catch (thrown) {
    if (thrown instanceof ClusterFileFault) return []
    throw thrown
  }
}

function pathOf(entries: readonly Entry[], value: unknown): (string | number)[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const isList = Array.isArray(value)
  const has = ([key, wanted]: [string, string]) => String((value as Record<string, unknown>)[key]) === wanted
  const entry = isList ? undefined : entries.find(e => Object.entries(e).every(has))
  if (entry) return Object.keys(entry).slice(-1)
  for (const [key, inner] of Object.entries(value)) {
    const path = pathOf(entries, inner)
    if (path) return [isList ? Number(key) : key, ...path]
  }
  return undefined
}
