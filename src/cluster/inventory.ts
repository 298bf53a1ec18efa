import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type FoundObject, kustomizationOf, type RemoteDependency, renderLocal } from './kustomization.ts'
import { parseSize } from './size.ts'

/** A claim that some workload wants its data in. */
export interface Claim {
  /** `namespace/name`. */
  id: string
  namespace: string
  name: string
  sizeBytes: number
  accessModes: string[]
  storageClass: string | undefined
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
  at: string
}

export interface FoundStorageClass {
  name: string
  provisioner: string
  parameters: Record<string, string>
  at: string
}

export interface FoundApplication {
  name: string
  path: string | undefined
  at: string
}

/** What a GitOps repository says of a cluster, from its own files alone. */
export interface Inventory {
  /** Kustomization folders, relative to the repository, that are no part of another one's inside. */
  folders: string[]
  claims: Claim[]
  volumes: StaticVolume[]
  storageClasses: FoundStorageClass[]
  applications: FoundApplication[]
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
    items: [],
    hosts: [],
    remote: [],
    missing: [],
  }
  const seen = new Set<string>()
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
    const own = rendered.objects.filter(o => {
      const id = `${o.kind} ${o.namespace}/${o.name} ${o.at}`
      if (seen.has(id)) return false
      seen.add(id)
      return true
    })
    takeIn(inventory, own, rendered.objects, name)
  }
  return inventory
}

/** Folders with a kustomization; deeper ones first, so that what includes them comes after. */
function manifestFolders(root: string): string[] {
  const found: string[] = []
  const walk = (folder: string, depth: number) => {
    for (const entry of readdirSync(folder).sort()) {
      const path = join(folder, entry)
      if (entry.startsWith('.') || entry === 'node_modules' || entry === 'charts') continue
      if (existsSync(path) && statSync(path).isDirectory() && depth < 8) walk(path, depth + 1)
    }
    if (kustomizationOf(folder)) found.push(folder)
  }
  walk(root, 0)
  // A kustomization that only gathers others (a bootstrap) would otherwise claim what they hold.
  return found.sort((a, b) => b.split('/').length - a.split('/').length || a.localeCompare(b))
}

function takeIn(inventory: Inventory, own: FoundObject[], all: FoundObject[], folder: string): void {
  for (const object of own)
    switch (object.kind) {
      case 'PersistentVolumeClaim':
        inventory.claims.push(claimOf(object, object.name, all, folder))
        break
      case 'StatefulSet':
        inventory.claims.push(...templatesOf(object, folder))
        break
      case 'PersistentVolume':
        inventory.volumes.push(volumeOf(object))
        break
      case 'StorageClass':
        inventory.storageClasses.push({
          name: object.name,
          provisioner: String(object.value.provisioner ?? ''),
          parameters: strings(object.value.parameters),
          at: object.at,
        })
        break
      case 'Application':
        inventory.applications.push({
          name: object.name,
          path: get(object.value, 'spec', 'source', 'path') as string | undefined,
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

function claimOf(object: FoundObject, name: string, all: FoundObject[], folder: string): Claim {
  const namespace = object.namespace ?? 'default'
  const owners = all
    .filter(o => (o.namespace ?? 'default') === namespace && mountsOf(o).includes(name))
    .map(o => `${o.kind} ${namespace}/${o.name}`)
  return {
    id: `${namespace}/${name}`,
    namespace,
    name,
    sizeBytes: sizeOf(object.value, object.at),
    accessModes: list(get(object.value, 'spec', 'accessModes')).map(String),
    storageClass: get(object.value, 'spec', 'storageClassName') as string | undefined,
    owners,
    folder,
    labels: strings(get(object.value, 'metadata', 'labels')),
    annotations: strings(get(object.value, 'metadata', 'annotations')),
    at: object.at,
  }
}

/** A StatefulSet adopts claims by their exact name: `<template>-<set>-<ordinal>`. */
function templatesOf(set: FoundObject, folder: string): Claim[] {
  const replicas = Number(get(set.value, 'spec', 'replicas') ?? 1)
  const namespace = set.namespace ?? 'default'
  return list(get(set.value, 'spec', 'volumeClaimTemplates')).flatMap(template =>
    Array.from({ length: replicas }, (_, ordinal): Claim => {
      const name = `${get(template, 'metadata', 'name')}-${set.name}-${ordinal}`
      return {
        id: `${namespace}/${name}`,
        namespace,
        name,
        sizeBytes: sizeOf(template, set.at),
        accessModes: list(get(template, 'spec', 'accessModes')).map(String),
        storageClass: get(template, 'spec', 'storageClassName') as string | undefined,
        owners: [`StatefulSet ${namespace}/${set.name}`],
        folder,
        labels: strings(get(template, 'metadata', 'labels')),
        annotations: strings(get(template, 'metadata', 'annotations')),
        at: set.at,
      }
    }),
  )
}

/** Names of the claims that a workload mounts. */
function mountsOf(object: FoundObject): string[] {
  const pod =
    get(object.value, 'spec', 'template', 'spec') ??
    get(object.value, 'spec', 'jobTemplate', 'spec', 'template', 'spec') ??
    (object.kind === 'Pod' ? object.value.spec : undefined)
  return list(get(pod, 'volumes')).flatMap(volume => {
    const claim = get(volume, 'persistentVolumeClaim', 'claimName')
    return typeof claim === 'string' ? [claim] : []
  })
}

function volumeOf(object: FoundObject): StaticVolume {
  const claim = get(object.value, 'spec', 'claimRef') as { namespace?: string; name?: string } | undefined
  return {
    name: object.name,
    claim: claim?.name === undefined ? undefined : `${claim.namespace ?? 'default'}/${claim.name}`,
    driver: String(get(object.value, 'spec', 'csi', 'driver') ?? ''),
    handle: String(get(object.value, 'spec', 'csi', 'volumeHandle') ?? ''),
    fsType: get(object.value, 'spec', 'csi', 'fsType') as string | undefined,
    attributes: strings(get(object.value, 'spec', 'csi', 'volumeAttributes')),
    at: object.at,
  }
}

function sizeOf(claim: unknown, at: string): number {
  return parseSize(String(get(claim, 'spec', 'resources', 'requests', 'storage') ?? '0'), at)
}

function get(value: unknown, ...path: string[]): unknown {
  let here = value
  for (const key of path) here = (here as Record<string, unknown> | undefined)?.[key]
  return here
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? (value as Record<string, unknown>[]) : []
}

function strings(value: unknown): Record<string, string> {
  if (value === null || typeof value !== 'object') return {}
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, String(v)]))
}
