import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { type FoundObject, mustBeWhole } from './found-objects.ts'
import type { Kustomization, PatchTarget } from './kustomization.ts'
import { wrongAt } from './problem.ts'
import { parseYaml, readYaml } from './yaml-file.ts'

/** Strategic merge and JSON 6902 patches, from files or inline, as far as they can matter to claims and volumes. */
export function withPatches(
  taken: readonly FoundObject[],
  kustomization: Kustomization,
  folder: string,
  root: string,
  at: (...path: PropertyKey[]) => string,
): FoundObject[] {
  let objects = [...taken]
  const { patches, patchesStrategicMerge } = kustomization
  const all = [
    // One of several lines is a patch itself, as kustomize tells them apart.
    ...patchesStrategicMerge.map((given, i) => ({
      path: given.includes('\n') ? undefined : given,
      patch: given,
      target: undefined,
      place: at('patchesStrategicMerge', i),
    })),
    ...patches.map((p, i) => ({ path: p.path, patch: p.patch, target: p.target, place: at('patches', i) })),
  ]
  for (const { path, patch, target, place } of all) {
    const file = path === undefined ? undefined : join(folder, path)
    if (file !== undefined && !existsSync(file)) continue
    const documents =
      file !== undefined ? readYaml(file, relative(root, file)) : parseYaml(patch ?? '', place)
    for (const document of documents) {
      const read = patchFile.safeParse(document.value)
      if (!read.success) throw wrongAt(place, 'this is no patch: neither a map nor a list of operations')
      const patch = read.data
      const own = Array.isArray(patch) ? undefined : patch
      const meant = objects.filter(o =>
        target ? isTarget(o, target, place) : own !== undefined && isNamedBy(o, own),
      )
      if (own?.$patch === 'delete') {
        objects = objects.filter(o => !meant.includes(o))
        continue
      }
      for (const object of meant) {
        object.value = Array.isArray(patch)
          ? patch.reduce(patched, object.value)
          : sameObject(object.value, merge(object.value, patch))
        mustBeWhole(object.value, place)
      }
    }
  }
  return objects
}

/** A patch with a target may call itself anything: kustomize leaves the object its kind, name and namespace. */
function sameObject(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Record<string, unknown> {
  const { apiVersion, kind, metadata } = before
  const { name, namespace } = (metadata ?? {}) as { name?: unknown; namespace?: unknown }
  return {
    ...after,
    apiVersion,
    kind,
    metadata: { ...(after.metadata as object | undefined), name, namespace },
  }
}

const patchFile = z.union([
  z.array(
    z.looseObject({ op: z.string().optional(), path: z.string().optional(), value: z.unknown().optional() }),
  ),
  z.looseObject({
    kind: z.string().optional(),
    metadata: z.looseObject({ name: z.string().optional(), namespace: z.string().nullish() }).optional(),
  }),
])
type ObjectPatch = Exclude<z.infer<typeof patchFile>, unknown[]>

interface Operation {
  op?: string | undefined
  path?: string | undefined
  value?: unknown
}

/** An object is meant by the name that it has now, or by what its file calls it. */
function namesOf({ name, namespace, origin }: FoundObject) {
  return [{ name, namespace }, ...(origin ? [origin] : [])]
}

function isNamedBy(object: FoundObject, { kind, metadata }: ObjectPatch): boolean {
  const home = metadata?.namespace ?? 'default'
  return (
    object.kind === kind &&
    namesOf(object).some(({ name, namespace = 'default' }) => name === metadata?.name && namespace === home)
  )
}

/** What a target says is regular expressions that fit as a whole, as kustomize reads them. */
function isTarget(object: FoundObject, target: PatchTarget, place: string): boolean {
  const fits = (pattern: string | undefined, text: string) => {
    if (pattern === undefined) return true
    try {
      return new RegExp(`^(?:${pattern})$`).test(text)
    } catch {
      throw wrongAt(place, `the patch’s target ${JSON.stringify(pattern)} is no regular expression`)
    }
  }
  return (
    fits(target.kind, object.kind) &&
    namesOf(object).some(o => fits(target.name, o.name) && fits(target.namespace, o.namespace ?? 'default'))
  )
}

/** One operation of RFC 6902 that sets or removes a value; `move`, `copy` and `test` are not used on claims. */
function patched(
  value: Record<string, unknown>,
  { op, path, value: wanted }: Operation,
): Record<string, unknown> {
  const keys = (path ?? '')
    .split('/')
    .slice(1)
    .map(k => k.replaceAll('~1', '/').replaceAll('~0', '~'))
  const change = (here: unknown, [key, ...rest]: string[]): unknown => {
    if (key === undefined) return wanted
    if (Array.isArray(here)) {
      const list = [...here]
      const index = key === '-' ? list.length : Number(key)
      if (rest.length > 0) list[index] = change(list[index], rest)
      else if (op === 'remove') list.splice(index, 1)
      else if (op === 'add') list.splice(index, 0, wanted)
      else list[index] = wanted
      return list
    }
    const map = { ...(isObject(here) ? here : {}) }
    if (rest.length === 0 && op === 'remove') delete map[key]
    else map[key] = change(map[key], rest)
    return map
  }
  const known = op === 'add' || op === 'replace' || op === 'remove'
  return known && keys.length > 0 ? (change(value, keys) as Record<string, unknown>) : value
}

function merge(one: Record<string, unknown>, other: Record<string, unknown>): Record<string, unknown> {
  const result = { ...one }
  for (const [key, value] of Object.entries(other)) {
    const there = result[key]
    if (value === null) delete result[key]
    else if (isObject(there) && isObject(value)) result[key] = merge(there, value)
    else if (key !== 'metadata') result[key] = value
  }
  return result
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
