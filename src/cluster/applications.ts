import { existsSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { foldersOf, foreseen } from './application-sets.ts'
import type { Inventory } from './inventory.ts'
import { type FoundObject, type RemoteDependency, renderLocal } from './kustomization.ts'
import type { ClusterFile } from './schema.ts'

/** An Argo CD Application of the cluster, as Git has it or as recover.yaml says to make it. */
export interface ApplicationSource {
  name: string
  namespace: string
  path: string
  /** The Application object itself. */
  manifest: Record<string, unknown>
  /** Its AppProject, where that stands beside it: it must be there first. */
  project: Record<string, unknown> | undefined
  claims: string[]
  parent: boolean
  storage: boolean
  wave: number
  /** What its folder renders to, as far as the repository itself holds it. */
  objects: FoundObject[]
  remote: RemoteDependency[]
}

/** Every Application, from the folder that recover.yaml names or generated as it says. Sorted by name. */
export function applicationsOf(
  entry: ClusterFile,
  resolve: (path: string) => string,
  inventory: Inventory,
): ApplicationSource[] {
  const root = resolve(entry.gitops.repository)
  const { applications } = entry.gitops
  const beside = typeof applications === 'string' ? renderLocal(resolve(applications), root).objects : []
  const projects = beside.filter(o => o.kind === 'AppProject').map(o => o.value)
  const manifests =
    typeof applications === 'string'
      ? [
          ...beside.filter(o => o.kind === 'Application').map(o => o.value),
          ...setsOf(beside).flatMap(set => foreseen(set, root)),
        ]
      : foldersOf(applications.generate, root)
          .filter(folder => !isBootstrap(folder, entry, resolve, root))
          .map(folder => generated(folder, entry.gitops.remote ?? root, applications.project ?? 'default'))
  return manifests
    .map(manifest => sourceOf(manifest, projects, root, inventory))
    .sort((a, b) => a.name.localeCompare(b.name))
}

/** The ApplicationSets in the folder of Applications: they come last, when all that they would start may start. */
export function applicationSetsOf(
  entry: ClusterFile,
  resolve: (path: string) => string,
): Record<string, unknown>[] {
  const { applications } = entry.gitops
  if (typeof applications !== 'string') return []
  return setsOf(renderLocal(resolve(applications), resolve(entry.gitops.repository)).objects)
}

function setsOf(objects: FoundObject[]): Record<string, unknown>[] {
  return objects
    .filter(o => o.kind === 'ApplicationSet')
    .map(({ value }) => ({ ...value, metadata: { namespace: 'argocd', ...(value.metadata as object) } }))
}

/** What the bootstrap brings is not an Application again. */
function isBootstrap(
  folder: string,
  entry: ClusterFile,
  resolve: (path: string) => string,
  root: string,
): boolean {
  const { bootstrap } = entry.gitops
  if (typeof bootstrap !== 'string') return false
  return bootstrapFolders(resolve(bootstrap)).some(f => relative(root, f) === folder)
}

/** The local folders that a bootstrap kustomization takes in, in its order. */
export function bootstrapFolders(folder: string): string[] {
  const { includes } = renderLocal(folder, folder)
  return includes
}

function generated(path: string, repository: string, project: string): Record<string, unknown> {
  const name = basename(path)
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name, namespace: 'argocd' },
    spec: {
      project,
      source: { repoURL: repository, targetRevision: 'HEAD', path },
      destination: { server: 'https://kubernetes.default.svc', namespace: name },
      syncPolicy: {
        automated: { prune: true, selfHeal: true },
        syncOptions: ['CreateNamespace=true', 'ServerSideApply=true'],
      },
    },
  }
}

function sourceOf(
  manifest: Record<string, unknown>,
  projects: Record<string, unknown>[],
  root: string,
  inventory: Inventory,
): ApplicationSource {
  const metadata = manifest.metadata as {
    name: string
    namespace?: string
    annotations?: Record<string, string>
  }
  const spec = manifest.spec as { project?: string; source?: { path?: string } } | undefined
  const path = (spec?.source?.path ?? '').replace(/^\.\//, '').replace(/\/$/, '')
  const folder = join(root, path)
  const rendered = path !== '' && existsSync(folder) ? renderLocal(folder, root) : { objects: [], remote: [] }
  const kinds = new Set(rendered.objects.map(o => o.kind))
  const csi = (r: RemoteDependency) => /csi/i.test(`${r.what} ${r.repository ?? ''}`)
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? 'argocd',
    path,
    manifest: { ...manifest, metadata: { ...metadata, namespace: metadata.namespace ?? 'argocd' } },
    project: projects.find(p => (p.metadata as { name?: string }).name === spec?.project),
    claims: inventory.claims.filter(c => c.folder === path).map(c => c.id),
    parent: kinds.has('Application') || kinds.has('ApplicationSet'),
    storage: kinds.has('StorageClass') || kinds.has('CSIDriver') || rendered.remote.some(csi),
    wave: Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0),
    objects: rendered.objects,
    remote: rendered.remote,
  }
}
