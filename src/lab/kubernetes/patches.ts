import { isDeepStrictEqual } from 'node:util'

/** The three kinds of patches besides server-side apply, as the API server applies them to an object. */

type Json = null | string | number | boolean | Json[] | { [key: string]: Json }
type JsonMap = { [key: string]: Json }

/** A patch that does not fit its object. */
export class PatchError extends Error {}

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch
  const result: JsonMap = isMap(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value) as Json
  }
  return result
}

// `patchMergeKey` of the fields of built-in kinds (k8s.io/api); lists that are not here are replaced whole.
const patchKeys: Record<string, string[]> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  ports: ['containerPort', 'port'],
  conditions: ['type'],
  imagePullSecrets: ['name'],
  secrets: ['name'],
  hostAliases: ['ip'],
  topologySpreadConstraints: ['topologyKey'],
  ownerReferences: ['uid'],
  addresses: ['type'],
}

// Lists of plain values that grow instead of being replaced.
const sets = ['finalizers']

/** Strategic merge patch, with the directives that kubectl writes; for built-in kinds only. */
export function strategicMergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch
  if (patch.$patch === 'replace') return without(patch, '$patch')
  if (patch.$patch === 'delete') return {}
  const result: JsonMap = isMap(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    const [directive, field = ''] = key.startsWith('$') ? key.split('/') : ['', key]
    if (directive === '$deleteFromPrimitiveList') {
      const gone = value as Json[]
      result[field] = listOf(result[field]).filter(item => !gone.includes(item))
    } else if (directive !== '') continue
    else if (value === null) delete result[field]
    else if (Array.isArray(value)) result[field] = mergeList(field, result[field], value)
    else result[field] = strategicMergePatch(result[field], value) as Json
  }
  const kept = patch.$retainKeys as string[] | undefined
  if (kept) for (const key of Object.keys(result)) if (!kept.includes(key)) delete result[key]
  for (const [key, order] of Object.entries(patch))
    if (key.startsWith('$setElementOrder/')) {
      const field = key.slice('$setElementOrder/'.length)
      if (result[field] !== undefined) result[field] = inOrder(field, listOf(result[field]), order as Json[])
    }
  return result
}

function mergeList(field: string, there: Json | undefined, patch: Json[]): Json[] {
  if (sets.includes(field)) return [...new Set([...listOf(there), ...patch])]
  if (!patchKeys[field] || !patch.every(isMap)) return patch
  const replaces = patch.some(item => item.$patch === 'replace' && Object.keys(item).length === 1)
  const result = replaces ? [] : [...listOf(there)]
  for (const item of patch) {
    const key = keyIn(field, item)
    const index = key === undefined ? -1 : result.findIndex(other => keyIn(field, other) === key)
    if (item.$patch === 'delete') {
      if (index >= 0) result.splice(index, 1)
    } else if (item.$patch === 'replace' && Object.keys(item).length === 1) continue
    else if (index >= 0) result[index] = strategicMergePatch(result[index], item) as Json
    else result.push(strategicMergePatch({}, item) as Json)
  }
  return result
}

function inOrder(field: string, list: Json[], order: Json[]): Json[] {
  const rank = (item: Json) => {
    const found = order.findIndex(o => o === item || (isMap(o) && keyIn(field, o) === keyIn(field, item)))
    return found === -1 ? order.length : found
  }
  return [...list].sort((a, b) => rank(a) - rank(b))
}

function keyIn(field: string, item: Json | undefined): string | undefined {
  if (!isMap(item)) return undefined
  const key = patchKeys[field]?.find(name => item[name] !== undefined)
  return key === undefined ? undefined : `${key}=${JSON.stringify(item[key])}`
}

interface Operation {
  op: string
  path: string
  from?: string
  value?: unknown
}

/** RFC 6902. Throws PatchError when a test fails or a path is not there. */
export function jsonPatch(target: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw new PatchError('a JSON patch is a list of operations')
  const root = { document: structuredClone(target) }
  for (const { op, path, from = '', value } of operations as Operation[]) {
    const parts = pointer(path)
    if (op === 'test') {
      if (!isDeepStrictEqual(read(root, parts), value))
        throw new PatchError(`testing path ${path} failed: the values differ`)
    } else if (op === 'remove') takeOut(root, parts)
    else if (op === 'add') put(root, parts, structuredClone(value), true)
    else if (op === 'replace') {
      if (read(root, parts) === undefined) throw new PatchError(`replace operation: nothing at ${path}`)
      put(root, parts, structuredClone(value), false)
    } else if (op === 'move') put(root, parts, takeOut(root, pointer(from)), true)
    else if (op === 'copy') put(root, parts, structuredClone(read(root, pointer(from))), true)
    else throw new PatchError(`unknown operation ${JSON.stringify(op)}`)
  }
  return root.document
}

function pointer(path: string): string[] {
  const parts = path === '' ? [] : path.slice(1).split('/')
  return ['document', ...parts.map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))]
}

function read(root: unknown, parts: string[]): unknown {
  let here = root
  for (const part of parts) here = (here as Record<string, unknown> | null | undefined)?.[part]
  return here
}

function put(root: unknown, parts: string[], value: unknown, insert: boolean): void {
  const parent = read(root, parts.slice(0, -1))
  const key = parts.at(-1) ?? ''
  if (Array.isArray(parent)) {
    const index = key === '-' ? parent.length : Number(key)
    if (!Number.isInteger(index) || index < 0 || index > parent.length)
      throw new PatchError(`no place ${key} in a list of ${parent.length}`)
    parent.splice(index, insert ? 0 : 1, value)
  } else if (isMap(parent)) parent[key] = value as Json
  else throw new PatchError(`nothing at /${parts.slice(1, -1).join('/')}`)
}

function takeOut(root: unknown, parts: string[]): unknown {
  const parent = read(root, parts.slice(0, -1))
  const key = parts.at(-1) ?? ''
  const found = read(root, parts)
  if (found === undefined) throw new PatchError(`remove operation: nothing at /${parts.slice(1).join('/')}`)
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete (parent as JsonMap)[key]
  return found
}

function isMap(value: unknown): value is JsonMap {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : []
}

function without(map: JsonMap, key: string): JsonMap {
  const { [key]: _, ...rest } = map
  return rest
}
