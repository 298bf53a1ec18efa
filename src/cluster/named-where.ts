import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

/**
 * Where a text stands in the files of a folder, or in one file: `system/cilium/values.yaml:12:3`, paths relative to
 * `root`. Undefined when it stands nowhere as it is: a template may have made it.
 */
export function namedWhere(text: string, place: string, root: string): string | undefined {
  if (!existsSync(place)) return undefined
  for (const file of filesOf(place)) {
    const lines = readFileSync(file, 'utf8').split('\n')
    const line = lines.findIndex(l => l.includes(text) && !/^\s*#/.test(l))
    if (line >= 0) return `${relative(root, file)}:${line + 1}:${(lines[line]?.indexOf(text) ?? 0) + 1}`
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
