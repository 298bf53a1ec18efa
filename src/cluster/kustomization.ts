import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { type FoundObject, objectsOfFile } from './found-objects.ts'
import { withPatches } from './kustomize-patches.ts'
import { ClusterFileFault, problemOf, wrongAt } from './problem.ts'
import { readYaml, type YamlDocument } from './yaml-file.ts'

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
  return render(folder, root, [], [])
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
const target = z.looseObject({ kind: optional, name: optional, namespace: optional })
/** Which objects a patch is for. */
export type PatchTarget = z.infer<typeof target>

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

export type Kustomization = z.infer<typeof kustomizationFile>

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

/**
 * @param above folders that lead here
 * @param there what a component finds there, and changes as if it were its own
 */
function render(folder: string, root: string, above: string[], there: readonly FoundObject[]): Rendered {
  const file = kustomizationOf(folder)
  const shown = (path: string) => relative(root, path) || path
  if (!file) return plain(folder, root)
  const [document] = readYaml(file, shown(file))
  const kustomization = kustomizationIn(document, shown(file))
  const at = (...path: PropertyKey[]) => document?.at(path) ?? shown(file)
  const result: Rendered = { objects: [...there], remote: [], missing: [], includes: [] }
  const take = (entry: string, place: string, isComponent: boolean) => {
    if (/^(https?:\/\/|git@|github\.com\/|ssh:\/\/|oci:\/\/)/.test(entry) || entry.includes('?ref=')) {
      result.remote.push({ kind: 'base', what: entry, at: place })
      return
    }
    const path = join(folder, entry)
    if (!existsSync(path)) throw wrongAt(place, `names ${entry}, which is not there`)
    if (!statSync(path).isDirectory()) {
      result.objects.push(...objectsOfFile(path, shown(path)))
      return
    }
    const way = [...above, folder]
    if (way.includes(path))
      throw wrongAt(
        place,
        `kustomizations include each other in a circle: ${[...way, path].map(shown).join(' → ')}`,
      )
    result.includes.push(path)
    const rendered = render(path, root, way, isComponent ? result.objects : [])
    result.objects = isComponent ? rendered.objects : [...result.objects, ...rendered.objects]
    result.remote.push(...rendered.remote)
    result.missing.push(...rendered.missing)
  }
  for (const field of ['resources', 'bases', 'components'] as const)
    kustomization[field].forEach((entry, i) => {
      take(entry, at(field, i), field === 'components')
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
  const origin = object.origin ?? { name: object.name, namespace: object.namespace }
  return { ...object, name, namespace: given, origin, value: { ...object.value, metadata } }
}

function plain(folder: string, root: string): Rendered {
  const result: Rendered = { objects: [], remote: [], missing: [], includes: [] }
  for (const name of readdirSync(folder).sort())
    if (/\.ya?ml$/.test(name))
      result.objects.push(...objectsOfFile(join(folder, name), relative(root, join(folder, name))))
  return result
}
