/**
 * Fields as server-side apply sees them: which manager owns which, merging by key in the lists that Kubernetes merges
 * by key, and conflicts. Paths are arrays of FieldsV1 elements: `f:spec`, `k:{"name":"app"}`, `v:"finalizer"`.
 */

import { builtIn, groupVersionOf } from './resources.ts'
import { listKeysOf, type Schema } from './schema.ts'

type Json = null | string | number | boolean | Json[] | { [key: string]: Json }
type JsonMap = { [key: string]: Json }

// The lists that Kubernetes' own schemas merge by key (x-kubernetes-list-map-keys), of kinds that repositories hold.
const mergeKeys: Record<string, string[]> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  conditions: ['type'],
  ports: ['containerPort', 'port', 'protocol'],
  imagePullSecrets: ['name'],
  hostAliases: ['ip'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  ownerReferences: ['uid'],
  webhooks: ['name'],
}

// Lists whose items are owned one by one (x-kubernetes-list-type=set).
const sets = ['finalizers']

const known = new Set(builtIn.map(groupVersionOf))

// A custom resource's lists are taken whole, unless its schema says otherwise; what all objects have in common is merged
// everywhere.
const everywhere = ['ownerReferences', 'finalizers']

/** How lists of an object are merged; decided by its kind. */
class Lists {
  private readonly typed: boolean
  private readonly defined: Map<string, string[]>
  constructor(object: unknown, schema: Schema | undefined) {
    this.typed = known.has(String((object as JsonMap | null | undefined)?.apiVersion))
    this.defined = listKeysOf(schema)
  }

  isSet(field: string, value: Json | undefined): value is Json[] {
    return sets.includes(field) && Array.isArray(value) && value.length > 0
  }

  /** The fields that are the key of a list's items. */
  keysOf(field: string): string[] {
    if (this.typed || everywhere.includes(field)) return mergeKeys[field] ?? []
    return this.defined.get(field) ?? []
  }

  /** The key of a list's item, or undefined where the list is taken as a whole. */
  keyOf(field: string, item: Json): string | undefined {
    if (!isMap(item)) return undefined
    const present = this.keysOf(field).filter(k => item[k] !== undefined)
    if (present.length === 0) return undefined
    return JSON.stringify(Object.fromEntries(present.map(k => [k, item[k]])))
  }

  /** A list that is merged by key: every item has one and no two have the same. */
  keyed(field: string, value: Json | undefined): Map<string, Json> | undefined {
    if (!Array.isArray(value) || value.length === 0) return undefined
    const map = new Map<string, Json>()
    for (const item of value) {
      const key = this.keyOf(field, item)
      if (key === undefined || map.has(key)) return undefined
      map.set(key, item)
    }
    return map
  }
}

function isMap(value: Json | undefined): value is JsonMap {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

const separator = '\u0000'

/** Every leaf of what a manager applied, as joined paths; identity fields are nobody's. */
export function leaves(object: unknown, schema?: Schema): Set<string> {
  const lists = new Lists(object, schema)
  const found = new Set<string>()
  const walk = (value: Json, path: string[], field: string) => {
    if (isMap(value) && Object.keys(value).length > 0) {
      for (const [key, item] of Object.entries(value)) walk(item, [...path, `f:${key}`], key)
      return
    }
    if (lists.isSet(field, value)) {
      for (const item of value) found.add([...path, `v:${JSON.stringify(item)}`].join(separator))
      return
    }
    const list = lists.keyed(field, value)
    if (list) {
      for (const [key, item] of list) walk(item, [...path, `k:${key}`], '')
      return
    }
    found.add(path.join(separator))
  }
  for (const [key, value] of Object.entries(object as JsonMap)) {
    if (['apiVersion', 'kind'].includes(key)) continue
    if (key !== 'metadata') walk(value, [`f:${key}`], key)
    else
      for (const field of ['labels', 'annotations', 'finalizers', 'ownerReferences'])
        if ((value as JsonMap)[field] !== undefined)
          walk((value as JsonMap)[field] as Json, ['f:metadata', `f:${field}`], field)
  }
  return found
}

/** Value at a joined path, or undefined. */
export function at(object: unknown, path: string, schema?: Schema): unknown {
  const lists = new Lists(object, schema)
  let here = object as Json | undefined
  let field = ''
  for (const element of path.split(separator)) {
    const text = element.slice(2)
    if (element.startsWith('f:')) {
      field = text
      here = isMap(here) ? here[field] : undefined
    } else if (element.startsWith('v:')) {
      const list: Json[] = Array.isArray(here) ? here : []
      here = list.find(item => JSON.stringify(item) === text)
    } else {
      here = lists.keyed(field, here)?.get(text)
      field = ''
    }
  }
  return here
}

/** `.spec.template.spec.containers[name="app"].image`, as conflicts name fields. */
export function showPath(path: string): string {
  const show = (element: string) => {
    const text = element.slice(2)
    if (element.startsWith('f:')) return `.${text}`
    if (element.startsWith('v:')) return `[=${text}]`
    const pairs = Object.entries(JSON.parse(text) as JsonMap)
    return `[${pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
  }
  return path.split(separator).map(show).join('')
}

/** Merges what a manager applies into what is there: maps by key, known lists by key, everything else whole. */
export function mergeApplied<T>(there: T, applied: unknown, schema?: Schema): T {
  const lists = new Lists(applied, schema)
  const merge = (one: Json | undefined, other: Json, field: string): Json => {
    if (isMap(other)) {
      const result: JsonMap = isMap(one) ? { ...one } : {}
      for (const [key, value] of Object.entries(other)) result[key] = merge(result[key], value, key)
      return result
    }
    if (lists.isSet(field, other))
      return [
        ...(Array.isArray(one) ? one : []),
        ...other.filter(i => !(Array.isArray(one) && one.includes(i))),
      ]
    const mine = lists.keyed(field, other)
    const theirs = lists.keyed(field, one)
    if (!mine || !theirs) return other
    const result = new Map(theirs)
    for (const [key, item] of mine) result.set(key, merge(theirs.get(key), item, ''))
    return [...result.values()]
  }
  return merge(there as Json, applied as Json, '') as T
}

/** Whether something in a set of joined paths lies below a path: what was an empty map may have become a full one. */
export function liesAbove(path: string, paths: Set<string>): boolean {
  for (const other of paths) if (other.startsWith(`${path}${separator}`)) return true
  return false
}

/**
 * Removes what is at joined paths; maps and lists of which nothing else is left go with it. An item whose key goes goes
 * whole: what somebody else has put into it does not keep it.
 */
export function removeAll(object: unknown, paths: string[], schema?: Schema): void {
  const lists = new Lists(object, schema)
  const isKey = (path: string) => {
    const elements = path.split(separator)
    const field = elements.at(-3)?.slice(2) ?? ''
    return (
      elements.at(-2)?.startsWith('k:') === true &&
      lists.keysOf(field).includes(elements.at(-1)?.slice(2) ?? '')
    )
  }
  // An item is found by its key, so its key goes last.
  for (const path of paths.filter(p => !isKey(p))) removeAt(object, path, lists)
  for (const path of paths.filter(isKey))
    removeAt(object, path.split(separator).slice(0, -1).join(separator), lists)
}

function removeAt(object: unknown, path: string, lists: Lists): void {
  const elements = path.split(separator)
  // True when what it was in is empty by it.
  const remove = (here: Json | undefined, index: number, field: string): boolean => {
    const element = elements[index] ?? ''
    const text = element.slice(2)
    const last = index === elements.length - 1
    if (element.startsWith('f:')) {
      if (!isMap(here)) return false
      const child = here[text]
      if (last || remove(child, index + 1, text)) delete here[text]
      return Object.keys(here).length === 0
    }
    if (!Array.isArray(here)) return false
    const position = element.startsWith('v:')
      ? here.findIndex(item => JSON.stringify(item) === text)
      : here.findIndex(item => lists.keyOf(field, item) === text)
    if (position === -1) return false
    if (last || remove(here[position], index + 1, '')) here.splice(position, 1)
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
