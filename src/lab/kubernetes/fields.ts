/**
 * Fields as server-side apply sees them: which manager owns which, merging by key in the lists that Kubernetes merges
 * by key, and conflicts. Paths are arrays of FieldsV1 elements: `f:spec`, `k:{"name":"app"}`.
 */

type Json = null | string | number | boolean | Json[] | { [key: string]: Json }
type JsonMap = { [key: string]: Json }

// The lists that Kubernetes' own schemas merge by key (x-kubernetes-list-map-keys), of kinds that repositories hold.
const mergeKeys: Record<string, string[]> = {
  containers: ['name'],
  initContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  volumeMounts: ['mountPath'],
  conditions: ['type'],
  ports: ['containerPort', 'port', 'protocol'],
  imagePullSecrets: ['name'],
  ownerReferences: ['uid'],
}

/** The key of a list's item, or undefined where the list is taken as a whole. */
function keyOf(field: string, item: Json): string | undefined {
  const keys = mergeKeys[field]
  if (!keys || !isMap(item)) return undefined
  const present = keys.filter(k => item[k] !== undefined)
  if (present.length === 0) return undefined
  return JSON.stringify(Object.fromEntries(present.map(k => [k, item[k]])))
}

function isMap(value: Json | undefined): value is JsonMap {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** A list that is merged by key: every item has one and no two have the same. */
function keyed(field: string, value: Json | undefined): Map<string, Json> | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined
  const map = new Map<string, Json>()
  for (const item of value) {
    const key = keyOf(field, item)
    if (key === undefined || map.has(key)) return undefined
    map.set(key, item)
  }
  return map
}

const separator = '\u0000'

/** Every leaf of what a manager applied, as joined paths; identity fields are nobody's. */
export function leaves(object: unknown): Set<string> {
  const found = new Set<string>()
  const walk = (value: Json, path: string[], field: string) => {
    if (isMap(value) && Object.keys(value).length > 0) {
      for (const [key, item] of Object.entries(value)) walk(item, [...path, `f:${key}`], key)
      return
    }
    const list = keyed(field, value)
    if (list) {
      for (const [key, item] of list) walk(item, [...path, `k:${key}`], '')
      return
    }
    found.add(path.join(separator))
  }
  for (const [key, value] of Object.entries(object as JsonMap)) {
    if (['apiVersion', 'kind', 'status'].includes(key)) continue
    if (key !== 'metadata') walk(value, [`f:${key}`], key)
    else
      for (const field of ['labels', 'annotations', 'finalizers', 'ownerReferences'])
        if ((value as JsonMap)[field] !== undefined)
          walk((value as JsonMap)[field] as Json, ['f:metadata', `f:${field}`], field)
  }
  return found
}

/** Value at a joined path, or undefined. */
export function at(object: unknown, path: string): unknown {
  let here = object as Json | undefined
  let field = ''
  for (const element of path.split(separator)) {
    if (element.startsWith('f:')) {
      field = element.slice(2)
      here = isMap(here) ? here[field] : undefined
    } else {
      const list = keyed(field, here)
      here = list?.get(element.slice(2))
      field = ''
    }
  }
  return here
}

/** `.spec.replicas`, as conflicts name fields. */
export function showPath(path: string): string {
  return path
    .split(separator)
    .map(e => (e.startsWith('f:') ? `.${e.slice(2)}` : `[${e.slice(2).slice(1, -1).replaceAll('"', '')}]`))
    .join('')
}

/** Merges what a manager applies into what is there: maps by key, known lists by key, everything else whole. */
export function mergeApplied<T>(there: T, applied: unknown): T {
  const merge = (one: Json | undefined, other: Json, field: string): Json => {
    if (isMap(other)) {
      const result: JsonMap = isMap(one) ? { ...one } : {}
      for (const [key, value] of Object.entries(other)) result[key] = merge(result[key], value, key)
      return result
    }
    const mine = keyed(field, other)
    const theirs = keyed(field, one)
    if (!mine || !theirs) return other
    const result = new Map(theirs)
    for (const [key, item] of mine) result.set(key, merge(theirs.get(key), item, ''))
    return [...result.values()]
  }
  return merge(there as Json, applied as Json, '') as T
}

/** Removes the value at a joined path; maps and keyed items that became empty by it go too. */
export function removeAt(object: unknown, path: string): void {
  const elements = path.split(separator)
  const remove = (here: Json | undefined, index: number, field: string): boolean => {
    const element = elements[index] ?? ''
    const last = index === elements.length - 1
    if (element.startsWith('f:')) {
      if (!isMap(here)) return false
      const key = element.slice(2)
      const child = here[key]
      if (last || remove(child, index + 1, key)) delete here[key]
      return Object.keys(here).length === 0
    }
    if (!Array.isArray(here)) return false
    const position = here.findIndex(item => keyOf(field, item) === element.slice(2))
    if (position === -1) return false
    const item = here[position]
    const onlyKey = isMap(item) && keyOf(field, item) === JSON.stringify(item)
    if (last || remove(item, index + 1, '') || onlyKey) here.splice(position, 1)
    return here.length === 0
  }
  remove(object as Json, 0, '')
}

/** A set of paths in the nested form of `managedFields[].fieldsV1`. */
export function toFieldsV1(paths: Set<string>): object {
  const root: Record<string, unknown> = {}
  for (const path of paths) {
    let here = root
    for (const element of path.split(separator)) {
      here[element] ??= {}
      here = here[element] as Record<string, unknown>
    }
  }
  return root
}

/** The inverse of {@link toFieldsV1}. */
export function fromFieldsV1(fields: unknown): Set<string> {
  const found = new Set<string>()
  const walk = (here: Record<string, unknown>, path: string[]) => {
    const entries = Object.entries(here).filter(([key]) => key !== '.')
    if (entries.length === 0 && path.length > 0) found.add(path.join(separator))
    for (const [key, value] of entries) walk(value as Record<string, unknown>, [...path, key])
  }
  walk((fields ?? {}) as Record<string, unknown>, [])
  return found
}
