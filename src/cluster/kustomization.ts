import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { z } from 'zod'
import { type FoundObject, mustBeWhole, objectsOfFile } from './found-objects.ts'
import { ClusterFileFault, problemOf } from './problem.ts'
import { parseYaml, readYaml, type YamlDocument } from './yaml-file.ts'

/** Something that a kustomization takes from elsewhere and that is not in the repository. */
export interface RemoteDependency {
  kind: 'base' | 'chart'
  /** URL, or `name version` of a chart. */
  what: string
  /** Where the chart comes from. */
  repository?: string
  at: string
}

export interface Rendered {
  objects: FoundObject[]
  remote: RemoteDependency[]
  /** Local files that a kustomization names and that are not there: secrets that Git ignores, most often. */
  missing: { file: string; at: string }[]
  /** Local folders that it takes in directly, in its order. */
  includes: string[]
}

// Kinds without a namespace, of those that home repositories hold; a kustomization's namespace leaves them alone.
const clusterScoped = new Set([
  'Namespace',
  'Node',
  'PersistentVolume',
  'StorageClass',
  'CSIDriver',
  'CustomResourceDefinition',
  'ClusterRole',
  'ClusterRoleBinding',
  'ClusterIssuer',
  'IngressClass',
  'PriorityClass',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'APIService',
  'CiliumLoadBalancerIPPool',
  'CiliumClusterwideNetworkPolicy',
  'VolumeSnapshotClass',
  'RuntimeClass',
])

/** Whether objects of this kind live in a namespace. */
export function isNamespaced(kind: string): boolean {
  return !clusterScoped.has(kind)
}

const fileNames = ['kustomization.yaml', 'kustomization.yml', 'Kustomization']

/** The kustomization file of a folder, or undefined. */
export function kustomizationOf(folder: string): string | undefined {
  return fileNames.map(name => join(folder, name)).find(file => existsSync(file))
}

/**
 * What a folder renders to, as far as the repository itself holds it: resources, components, namespace, prefix and
 * suffix, patches on claims and volumes. Remote bases and Helm charts are listed, not fetched. A folder without a
 * kustomization is taken as plain manifests.
 */
export function renderLocal(folder: string, root: string): Rendered {
  return render(folder, root, [])
}

// kustomize reads a bare number or truth value as the text that it stands for, and nothing as an empty list.
const text = z.union([z.string(), z.number(), z.boolean()]).transform(String)
const list = <T extends z.ZodType>(of: T) =>
  z
    .array(of)
    .nullish()
    .transform(items => items ?? [])
const optional = text.nullish().transform(value => value ?? undefined)
const generator = z.looseObject({ files: list(text), envs: list(text) })
const target = z.looseObject({ kind: optional, name: optional })

/** What recover reads of a kustomization. */
const kustomizationFile = z.looseObject({
  namespace: optional,
  namePrefix: optional,
  nameSuffix: optional,
  resources: list(text),
  bases: list(text),
  components: list(text),
  helmCharts: list(z.looseObject({ name: text, version: optional, repo: optional })),
  patches: list(
    z.looseObject({
      path: optional,
      patch: optional,
      target: target.nullish().transform(value => value ?? undefined),
    }),
  ),
  patchesStrategicMerge: list(text),
  configMapGenerator: list(generator),
  secretGenerator: list(generator),
})

type Kustomization = z.infer<typeof kustomizationFile>

function kustomizationIn(document: YamlDocument | undefined, shown: string): Kustomization {
  const read = kustomizationFile.safeParse(document?.value ?? {})
  if (read.success) return read.data
  const at = (path: PropertyKey[]) => document?.at(path) ?? shown
  throw new ClusterFileFault(
    'cluster-file-invalid',
    read.error.issues.map(i => problemOf(i, at)),
    shown,
  )
}

function render(folder: string, root: string, above: string[]): Rendered {
  const file = kustomizationOf(folder)
  const shown = (path: string) => relative(root, path) || path
  if (!file) return plain(folder, root)
  const [document] = readYaml(file, shown(file))
  const kustomization = kustomizationIn(document, shown(file))
  const at = (...path: PropertyKey[]) => document?.at(path) ?? shown(file)
  const result: Rendered = { objects: [], remote: [], missing: [], includes: [] }
  const take = (entry: string, place: string) => {
    if (/^(https?:\/\/|git@|github\.com\/|ssh:\/\/|oci:\/\/)/.test(entry) || entry.includes('?ref=')) {
      result.remote.push({ kind: 'base', what: entry, at: place })
      return
    }
    const path = join(folder, entry)
    if (!existsSync(path)) throw fault(place, `names ${entry}, which is not there`)
    if (!statSync(path).isDirectory()) {
      result.objects.push(...objectsOfFile(path, shown(path)))
      return
    }
    const way = [...above, folder]
    if (way.includes(path))
      throw fault(
        place,
        `kustomizations include each other in a circle: ${[...way, path].map(shown).join(' → ')}`,
      )
    result.includes.push(path)
    const rendered = render(path, root, way)
    result.objects.push(...rendered.objects)
    result.remote.push(...rendered.remote)
    result.missing.push(...rendered.missing)
  }
  for (const field of ['resources', 'bases', 'components'] as const)
    kustomization[field].forEach((entry, i) => {
      take(entry, at(field, i))
    })
  kustomization.helmCharts.forEach((chart, i) => {
    result.remote.push({
      kind: 'chart',
      what: `${chart.name} ${chart.version ?? '(no version pinned)'}`,
      ...(chart.repo === undefined ? {} : { repository: chart.repo }),
      at: at('helmCharts', i),
    })
  })
  for (const field of ['configMapGenerator', 'secretGenerator'] as const)
    kustomization[field].forEach((generator, i) => {
      for (const entry of [...generator.files, ...generator.envs]) {
        const source = entry.includes('=') ? entry.slice(entry.indexOf('=') + 1) : entry
        if (!existsSync(join(folder, source)))
          result.missing.push({ file: shown(join(folder, source)), at: at(field, i) })
      }
    })
  // A patch means the objects as the folder took them in.
  const patchedObjects = withPatches(result.objects, kustomization, folder, root, at)
  result.objects = patchedObjects.map(object => named(object, kustomization))
  return result
}

/** Namespace, prefix and suffix, which kustomize gives to everything that it took in. */
function named(object: FoundObject, { namespace, namePrefix, nameSuffix }: Kustomization): FoundObject {
  const given = namespace !== undefined && isNamespaced(object.kind) ? namespace : object.namespace
  // kustomize leaves the names of namespaces and definitions alone.
  const fixed = object.kind === 'Namespace' || object.kind === 'CustomResourceDefinition'
  const name = fixed ? object.name : `${namePrefix ?? ''}${object.name}${nameSuffix ?? ''}`
  const metadata = {
    ...(object.value.metadata as object),
    name,
    ...(given === undefined ? {} : { namespace: given }),
  }
  return { ...object, name, namespace: given, value: { ...object.value, metadata } }
}

/** Strategic merge and JSON 6902 patches, from files or inline, as far as they can matter to claims and volumes. */
function withPatches(
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
      if (!read.success) throw fault(place, 'this is no patch: neither a map nor a list of operations')
      const patch = read.data
      const own = Array.isArray(patch) ? undefined : patch
      const meant = objects.filter(o =>
        target ? isTarget(o, target, place) : own && o.kind === own.kind && o.name === own.metadata?.name,
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
    metadata: z.looseObject({ name: z.string().optional() }).optional(),
  }),
])

interface Operation {
  op?: string | undefined
  path?: string | undefined
  value?: unknown
}

/** A target's kind and name are regular expressions that fit as a whole, as kustomize reads them. */
function isTarget(
  object: FoundObject,
  target: { kind: string | undefined; name: string | undefined },
  place: string,
): boolean {
  const fits = (pattern: string | undefined, text: string) => {
    if (pattern === undefined) return true
    try {
      return new RegExp(`^(?:${pattern})$`).test(text)
    } catch {
      throw fault(place, `the patch’s target ${JSON.stringify(pattern)} is no regular expression`)
    }
  }
  return fits(target.kind, object.kind) && fits(target.name, object.name)
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

function plain(folder: string, root: string): Rendered {
  const result: Rendered = { objects: [], remote: [], missing: [], includes: [] }
  for (const name of readdirSync(folder).sort())
    if (/\.ya?ml$/.test(name))
      result.objects.push(...objectsOfFile(join(folder, name), relative(root, join(folder, name))))
  return result
}

function fault(at: string, message: string): ClusterFileFault {
  return new ClusterFileFault('cluster-file-invalid', [{ at, path: '', message }], dirname(at))
}
