import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { type FoundObject, objectsOf } from './found-objects.ts'
import { kustomizationOf, type RemoteDependency, renderLocal } from './kustomization.ts'
import { claimSize, get, list, mountsOf, strings, templateClaims, textAt, texts } from './manifest-fields.ts'
import { operatorClaims } from './operator-claims.ts'
import { parseYaml } from './yaml-file.ts'

/** A claim that some workload wants its data in. */
export interface Claim {
  /** `namespace/name`. */
  id: string
  namespace: string
  name: string
  sizeBytes: number
  accessModes: string[]
  storageClass: string | undefined
  /** The PersistentVolume that it names itself. */
  volume?: string
  /** Workloads that mount it: `Deployment influxdb/deployment`. */
  owners: string[]
  /** Folder in the repository that it comes from: `applications/influxdb`. */
  folder: string
  /** Labels and annotations that its owner needs to recognise it (CloudNativePG). */
  labels: Record<string, string>
  annotations: Record<string, string>
  at: string
}

/** A PersistentVolume in Git: the surest source of which disk was whose. */
export interface StaticVolume {
  name: string
  claim: string | undefined
  driver: string
  handle: string
  fsType: string | undefined
  attributes: Record<string, string>
  mountOptions: string[]
  /** Directory on the node's own disk: the volume is of type hostPath or local. */
  path?: string
  /** Nodes that such a volume is on; absent where its node affinity names none. */
  nodes?: string[]
  at: string
}

export interface FoundStorageClass {
  name: string
  provisioner: string
  parameters: Record<string, string>
  mountOptions: string[]
  /** Claims that name no class have this one. */
  isDefault: boolean
  at: string
}

export interface FoundApplication {
  name: string
  path: string | undefined
  /** URL that Argo CD reads it from, when it is a path of a Git repository (a chart's is not listed). */
  repository: string | undefined
  at: string
}

export interface FoundApplicationSet extends FoundApplication {
  /** Folders that become one Application each, by its Git directory generators: `applications/*`. */
  generates: string[]
}

/** What a GitOps repository says of a cluster, from its own files alone. */
export interface Inventory {
  /** Kustomization folders, relative to the repository, that are no part of another one's inside. */
  folders: string[]
  claims: Claim[]
  volumes: StaticVolume[]
  storageClasses: FoundStorageClass[]
  applications: FoundApplication[]
  applicationSets: FoundApplicationSet[]
  /** Argo CD AppProjects. */
  projects: FoundApplication[]
  /** 1Password item paths: `vaults/materia/items/argocd-secret`. */
  items: { path: string; namespace: string | undefined; name: string; at: string }[]
  hosts: { host: string; at: string }[]
  remote: (RemoteDependency & { folder: string })[]
  missing: { file: string; at: string }[]
}

/** Reads every kustomization and manifest folder of a repository, without changing or fetching anything. */
export function readInventory(root: string): Inventory {
  const inventory: Inventory = {
    folders: [],
    claims: [],
    volumes: [],
    storageClasses: [],
    applications: [],
    applicationSets: [],
    projects: [],
    items: [],
    hosts: [],
    remote: [],
    missing: [],
  }
  const seen = new Set<string>()
  const made: Claim[] = []
  for (const folder of manifestFolders(root)) {
    const name = relative(root, folder) || '.'
    inventory.folders.push(name)
    const rendered = renderLocal(folder, root)
    inventory.remote.push(
      ...rendered.remote
        .filter(r => !inventory.remote.some(other => other.at === r.at))
        .map(r => ({ ...r, folder: name })),
    )
    inventory.missing.push(...rendered.missing)
    // A folder that is taken in by another one too (a bootstrap of system folders) is counted once, where it lives.
    const own = rendered.objects.filter(o => firstSight(o, seen))
    takeIn(inventory, own)
    inventory.claims.push(...statedClaims(own, rendered.objects, name))
    made.push(...own.flatMap(o => operatorClaims(o, name)))
  }
  const loose = looseArgoObjects(resolve(root)).filter(o => firstSight(o, seen))
  takeIn(inventory, loose)
  addMade(inventory.claims, made)
  return inventory
}

function firstSight(object: FoundObject, seen: Set<string>): boolean {
  const id = `${object.kind} ${object.namespace}/${object.name} ${object.at}`
  if (seen.has(id)) return false
  seen.add(id)
  return true
}

/** Every folder below and including `root` that may hold manifests, deepest last. */
function* foldersOf(root: string, depth = 0): Generator<string> {
  yield root
  for (const entry of readdirSync(root).sort()) {
    const path = join(root, entry)
    if (entry.startsWith('.') || entry === 'node_modules' || entry === 'charts') continue
    if (existsSync(path) && statSync(path).isDirectory() && depth < 8) yield* foldersOf(path, depth + 1)
  }
}

/** Folders with a kustomization; deeper ones first, so that what includes them comes after. */
function manifestFolders(root: string): string[] {
  const found = [...foldersOf(root)].filter(folder => kustomizationOf(folder))
  // A kustomization that only gathers others (a bootstrap) would otherwise claim what they hold.
  return found.sort((a, b) => b.split('/').length - a.split('/').length || a.localeCompare(b))
}

/**
 * Argo CD objects in plain folders, which no kustomization takes in: a folder of Applications needs none, because a
 * person or a parent Application applies it. A file that is no YAML (a Helm template) is none of them.
 */
function looseArgoObjects(root: string): FoundObject[] {
  // A kustomization at the root reaches only what it names; a deeper one owns its folder, patches and all.
  const owned = (folder: string): boolean =>
    kustomizationOf(folder) !== undefined || (dirname(folder) !== root && owned(dirname(folder)))
  return [...foldersOf(root)]
    .filter(folder => (folder === root ? !kustomizationOf(root) : !owned(folder)))
    .flatMap(folder =>
      readdirSync(folder)
        .sort()
        .filter(name => /\.ya?ml$/.test(name) && statSync(join(folder, name)).isFile())
        .flatMap(name => argoObjects(join(folder, name), relative(root, join(folder, name)))),
    )
}

function argoObjects(file: string, shown: string): FoundObject[] {
  const text = readFileSync(file, 'utf8')
  // An unquoted `{{` is a template's; as YAML it would be a map with a map for its key.
  if (!/^apiVersion:\s*["']?argoproj\.io\//m.test(text) || /(^|[:-])\s*\{\{/m.test(text)) return []
  try {
    return parseYaml(text, shown)
      .flatMap(document => objectsOf(document, shown))
      .filter(
        ({ kind, value }) =>
          (kind === 'Application' && get(value, 'spec', 'destination') !== undefined) ||
          (kind === 'ApplicationSet' && get(value, 'spec', 'generators') !== undefined) ||
          (kind === 'AppProject' && value.spec !== undefined),
      )
  } catch {
    return []
  }
}

/** The claims that some objects want, with those that operators make for them. */
export function claimsIn(objects: FoundObject[], folder: string): Claim[] {
  const claims = statedClaims(objects, objects, folder)
  addMade(
    claims,
    objects.flatMap(o => operatorClaims(o, folder)),
  )
  return claims
}

function statedClaims(own: FoundObject[], all: FoundObject[], folder: string): Claim[] {
  const mounting = whoMounts(all)
  return own.flatMap(object => {
    if (object.kind === 'PersistentVolumeClaim') return [claimOf(object, mounting, folder)]
    return object.kind === 'StatefulSet' ? setClaims(object, folder) : []
  })
}

function takeIn(inventory: Inventory, own: FoundObject[]): void {
  for (const object of own)
    switch (object.kind) {
      case 'PersistentVolume':
        inventory.volumes.push(volumeOf(object))
        break
      case 'StorageClass':
        inventory.storageClasses.push({
          name: object.name,
          provisioner: String(object.value.provisioner ?? ''),
          parameters: strings(object.value.parameters),
          mountOptions: texts(object.value.mountOptions),
          isDefault: isDefaultClass(object),
          at: object.at,
        })
        break
      case 'Application':
        inventory.applications.push(applicationOf(object, get(object.value, 'spec')))
        break
      case 'ApplicationSet':
        inventory.applicationSets.push({
          ...applicationOf(object, get(object.value, 'spec', 'template', 'spec')),
          generates: list(get(object.value, 'spec', 'generators'))
            .flatMap(generator => list(get(generator, 'git', 'directories')))
            .flatMap(({ path, exclude }) => (typeof path === 'string' && exclude !== true ? [path] : [])),
        })
        break
      case 'AppProject':
        inventory.projects.push({
          name: object.name,
          path: undefined,
          repository: undefined,
          at: object.at,
        })
        break
      case 'OnePasswordItem':
        inventory.items.push({
          path: String(get(object.value, 'spec', 'itemPath') ?? ''),
          namespace: object.namespace,
          name: object.name,
          at: object.at,
        })
        break
      case 'Ingress':
        for (const rule of list(get(object.value, 'spec', 'rules')))
          if (typeof rule.host === 'string') inventory.hosts.push({ host: rule.host, at: object.at })
        break
    }
}

function applicationOf(object: FoundObject, spec: unknown): FoundApplication {
  // One source, or several of which the first with a path is the folder; the others are charts or their values.
  const sources = [get(spec, 'source'), ...list(get(spec, 'sources'))]
  const source = sources.find(s => typeof get(s, 'path') === 'string')
  const repository = get(source, 'repoURL')
  return {
    name: object.name,
    path: textAt(source, 'path'),
    repository: typeof repository === 'string' ? repository : undefined,
    at: object.at,
  }
}

/** A claim that Git makes beforehand for an operator is one claim: Git's, with what the operator needs added. */
function addMade(claims: Claim[], made: Claim[]): void {
  const known = new Map<string, Claim>()
  for (const claim of claims) if (!known.has(claim.id)) known.set(claim.id, claim)
  for (const claim of made) {
    const there = known.get(claim.id)
    if (!there) {
      claims.push(claim)
      known.set(claim.id, claim)
      continue
    }
    there.owners.push(...claim.owners.filter(owner => !there.owners.includes(owner)))
    there.labels = { ...claim.labels, ...there.labels }
    there.annotations = { ...claim.annotations, ...there.annotations }
  }
}

/** The workloads whose pods mount each claim, by its id. */
function whoMounts(objects: FoundObject[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const object of objects) {
    const namespace = object.namespace ?? 'default'
    for (const name of new Set(mountsOf(object))) {
      const owners = found.get(`${namespace}/${name}`) ?? []
      owners.push(`${object.kind} ${namespace}/${object.name}`)
      found.set(`${namespace}/${name}`, owners)
    }
  }
  return found
}

function claimOf(object: FoundObject, mounting: ReadonlyMap<string, string[]>, folder: string): Claim {
  const { name, namespace = 'default' } = object
  const id = `${namespace}/${name}`
  return {
    id,
    namespace,
    name,
    sizeBytes: claimSize(object.value, object.at),
    accessModes: texts(get(object.value, 'spec', 'accessModes')),
    storageClass: textAt(object.value, 'spec', 'storageClassName'),
    ...volumeOfClaim(object.value),
    owners: [...(mounting.get(id) ?? [])],
    folder,
    labels: strings(get(object.value, 'metadata', 'labels')),
    annotations: strings(get(object.value, 'metadata', 'annotations')),
    at: object.at,
  }
}

function volumeOfClaim(claim: unknown): { volume?: string } {
  const volume = get(claim, 'spec', 'volumeName')
  return typeof volume === 'string' && volume !== '' ? { volume } : {}
}

/** A StatefulSet adopts claims by their exact name: `<template>-<set>-<ordinal>`. */
function setClaims(set: FoundObject, folder: string): Claim[] {
  return templateClaims(set, folder, {
    set: set.name,
    replicas: get(set.value, 'spec', 'replicas'),
    templates: list(get(set.value, 'spec', 'volumeClaimTemplates')),
  })
}

/** By the annotation, or as it was called before Kubernetes 1.6 and is understood still. */
function isDefaultClass({ value }: FoundObject): boolean {
  const annotations = strings(get(value, 'metadata', 'annotations'))
  return ['storageclass.kubernetes.io', 'storageclass.beta.kubernetes.io'].some(
    of => annotations[`${of}/is-default-class`] === 'true',
  )
}

function volumeOf(object: FoundObject): StaticVolume {
  const claim = get(object.value, 'spec', 'claimRef') as
    | { namespace?: string | null; name?: string | null }
    | null
    | undefined
  return {
    name: object.name,
    claim: !claim?.name ? undefined : `${claim.namespace ?? 'default'}/${claim.name}`,
    driver: String(get(object.value, 'spec', 'csi', 'driver') ?? ''),
    // In-tree iSCSI has no handle; its target's IQN says as much.
    handle: String(
      get(object.value, 'spec', 'csi', 'volumeHandle') ?? get(object.value, 'spec', 'iscsi', 'iqn') ?? '',
    ),
    fsType: textAt(object.value, 'spec', 'csi', 'fsType'),
    attributes: strings(get(object.value, 'spec', 'csi', 'volumeAttributes')),
    mountOptions: texts(get(object.value, 'spec', 'mountOptions')),
    ...placeOf(object.value),
    at: object.at,
  }
}

function placeOf(volume: unknown): { path?: string; nodes?: string[] } {
  const path = get(volume, 'spec', 'local', 'path') ?? get(volume, 'spec', 'hostPath', 'path')
  if (typeof path !== 'string') return {}
  const terms = list(get(volume, 'spec', 'nodeAffinity', 'required', 'nodeSelectorTerms'))
  const nodes = terms
    .flatMap(term => list(get(term, 'matchExpressions')))
    .filter(e => e.key === 'kubernetes.io/hostname' && e.operator === 'In')
    .flatMap(e => texts(e.values))
  return { path: path.replace(/(?<=.)\/+$/, ''), ...(nodes.length > 0 ? { nodes } : {}) }
}
