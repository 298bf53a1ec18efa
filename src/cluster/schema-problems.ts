import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { complaint, type Problem } from './problem.ts'
import { clusterFile } from './schema.ts'
import type { YamlDocument } from './yaml-file.ts'

/** What the schema of recover.yaml has to say of a document, each at its place. */
export function problemsOf(error: z.ZodError, document: YamlDocument): Problem[] {
  return flatten(error.issues).flatMap((issue): Problem[] => {
    const path = issue.path
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(path)
      return issue.keys.map(key => {
        const meant = nearest(key, known)
        return {
          at: document.at([...path, key]),
          path: [...path, key].join('.'),
          message: `unknown key${meant ? `; did you mean ${meant}?` : `; known here: ${known.join(', ')}`}`,
        }
      })
    }
    const missing =
      issue.code === 'invalid_type' && issue.input === undefined && !hasValue(document.value, path)
    return [{ at: document.at(path), path: path.join('.'), message: missing ? 'missing' : complaint(issue) }]
  })
}

/** A union's failure says nothing by itself; the branch whose keys are there and that came furthest says what is wrong. */
function flatten(issues: z.core.$ZodIssue[], above: PropertyKey[] = []): z.core.$ZodIssue[] {
  return issues.flatMap(issue => {
    const path = [...above, ...issue.path]
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{ ...issue, path }]
    const [meant = []] = [...issue.errors].sort((a, b) => foreign(a) - foreign(b) || depth(b) - depth(a))
    return flatten(meant, path)
  })
}

/** Keys that a branch does not know or misses: of another branch, most likely. */
function foreign(issues: z.core.$ZodIssue[]): number {
  return issues.reduce(
    (sum, issue) =>
      sum +
      (issue.code === 'unrecognized_keys'
        ? issue.keys.length
        : issue.code === 'invalid_type' && issue.input === undefined
          ? 1
          : 0),
    0,
  )
}

function depth(issues: z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(i => i.path.length))
}

function knownKeys(path: PropertyKey[]): string[] {
  let here: unknown = clusterFile
  for (const key of path) {
    const schema = unwrap(here)
    here = schema.shape?.[key as string] ?? schema.element ?? schema.valueType
  }
  return Object.keys(unwrap(here).shape ?? {})
}

interface Shaped {
  shape?: Record<string, unknown>
  element?: unknown
  valueType?: unknown
  unwrap?: () => unknown
  options?: unknown[]
}

function unwrap(schema: unknown): Shaped {
  const here = (schema ?? {}) as Shaped
  if (here.shape || here.element || here.valueType) return here
  if (here.options) return unwrap(here.options.at(-1))
  return here.unwrap ? unwrap(here.unwrap()) : here
}

function hasValue(value: unknown, path: PropertyKey[]): boolean {
  let here = value
  for (const key of path) here = (here as Record<PropertyKey, unknown> | undefined)?.[key]
  return here !== undefined
}
