import { existsSync, statSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { foldersOf, foreseen } from './application-sets.ts'
import { type OwnedClaim, ownershipOf } from './data-ownership.ts'
import { fluxSpec, isFluxKustomization, renderFluxFolder } from './flux.ts'
import { type FoundObject, mustBeWhole } from './found-objects.ts'
import { isNamespaced, type RemoteDependency, type Rendered, renderLocal } from './kustomization.ts'
import type { ClusterFile } from './schema.ts'

/** An Argo CD Application of the cluster, as Git has it or as recover.yaml says to make it. */
export interface ApplicationSource {
  name: string
  namespace: string
  path: string
  /** Where it stands: file, line and column. */
  at: string
  /** The Application object itself. */
  manifest: Record<string, unknown>
  /** Its AppProject, where that stands beside it: it must be there first. */
  project: Record<string, unknown> | undefined
  /** Claims that its data is in, each with its owner. */
  owned: OwnedClaim[]
  /** What may make claims that nobody can foresee here. */
  doubts: string[]
  /** Names of Applications that its folder brings; an ApplicationSet stands for those that it will make. */
  brings: string[]
  /** Names of Applications that it says itself must be well before it: Flux's dependsOn. */
  after: string[]
  /** It brings other Applications, which it would start by itself. */
  parent: boolean
  /** It brings what volumes need: a CSI driver, a StorageClass. */
  storage: boolean
  wave: number
  /** What its folder renders to, as far as the repository itself holds it. */
  objects: FoundObject[]
  remote: RemoteDependency[]
}

/**
 * Every Application: of the folder that recover.yaml names, and what those bring in their turn; or generated as it says.
 * Sorted by name.
 */
export function applicationsOf(entry: ClusterFile, resolve: (path: string) => string): ApplicationSource[] {
  const root = resolve(entry.gitops.repository)
  const { applications } = entry.gitops
  const beside = besideOf(applications, resolve, root)
  const found = new Map<string, ApplicationSource>()
  const take = (made: Made[], objects: FoundObject[]) => {
    const projects = objects.filter(isBeforehand).map(o => o.value)
    for (const one of made) {
      const source = sourceOf(one, projects, root)
      if (found.has(source.name)) continue
      found.set(source.name, source)
      take(broughtBy(source.objects, root), source.objects)
    }
  }
  take(
    applications === undefined || typeof applications === 'string' || 'flux' in applications
      ? broughtBy(beside, root)
      : foldersOf(applications.generate, root)
          .filter(folder => !isBootstrap(folder, entry, resolve, root))
          .map(folder => ({
            manifest: generated(folder, entry.gitops.remote ?? root, applications.project ?? 'default'),
            at: folder,
          })),
    beside,
  )
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name))
}

/** The objects among which the first Applications are, where they are in Git. */
function besideOf(
  applications: ClusterFile['gitops']['applications'],
  resolve: (path: string) => string,
  root: string,
): FoundObject[] {
  if (applications === undefined) return []
  if (typeof applications === 'string') return renderLocal(resolve(applications), root).objects
  return 'flux' in applications ? renderFluxFolder(resolve(applications.flux), root).objects : []
}

/** What must be there before an Application that names it: Argo CD's project, Flux's source. */
function isBeforehand({ apiVersion, kind }: FoundObject): boolean {
  return kind === 'AppProject' || apiVersion.startsWith('source.toolkit.fluxcd.io/')
}

/** An Application, and where it stands in Git. */
interface Made {
  manifest: Record<string, unknown>
  at: string
}

/** The Applications among some objects, and those that the ApplicationSets among them will make. */
function broughtBy(objects: FoundObject[], root: string): Made[] {
  return [
    ...objects
      .filter(o => isArgo(o, 'Application') || isFluxKustomization(o))
      .map(o => ({ manifest: o.value, at: o.at })),
    ...objects
      .filter(o => isArgo(o, 'ApplicationSet'))
      .flatMap(o => foreseen(o.value, root).map(manifest => ({ manifest, at: o.at }))),
  ]
}

function isArgo(object: FoundObject, kind: string): boolean {
  return object.kind === kind && object.apiVersion.startsWith('argoproj.io/')
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
    .filter(o => isArgo(o, 'ApplicationSet'))
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

interface Source {
  repoURL?: string
  path?: string
  chart?: string
  targetRevision?: string
}

/** What an Application's own words say of it, whoever it is for. */
interface Told {
  namespace: string
  sources: Source[]
  project: (candidate: Record<string, unknown>) => boolean
  after: string[]
  /** Namespace that all that it renders to gets. */
  target: string | undefined
  /** Namespace of what names none itself. */
  home: string | undefined
}

function toldBy(manifest: Record<string, unknown>): Told {
  const named = (candidate: Record<string, unknown>) => (candidate.metadata as { name?: string }).name
  if (isFluxKustomization(manifest as never)) {
    const { path, target, dependsOn, source } = fluxSpec(manifest)
    return {
      namespace: 'flux-system',
      sources: [{ path }],
      project: c => c.kind === source.kind && named(c) === source.name,
      after: dependsOn,
      target,
      home: undefined,
    }
  }
  const spec = manifest.spec as
    | {
        project?: string
        source?: Source | null
        sources?: Source[] | null
        destination?: { namespace?: string | null } | null
      }
    | null
    | undefined
  return {
    namespace: 'argocd',
    sources: [spec?.source, ...(spec?.sources ?? [])].flatMap(s => (s ? [withoutNull(s)] : [])),
    project: c => c.kind === 'AppProject' && named(c) === spec?.project,
    after: [],
    target: undefined,
    home: spec?.destination?.namespace ?? undefined,
  }
}

function withoutNull(source: Source): Source {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== null))
}

function sourceOf(
  { manifest, at }: Made,
  projects: Record<string, unknown>[],
  root: string,
): ApplicationSource {
  mustBeWhole(manifest, at)
  const metadata = manifest.metadata as {
    name: string
    namespace?: string
    annotations?: Record<string, string>
  }
  const { namespace, sources, project, after, target, home } = toldBy(manifest)
  const rendered = sources.map(source => renderedSource(source, at, root))
  const objects = rendered.flatMap(r => r.objects).map(o => placed(o, target ?? o.namespace ?? home))
  const remote = rendered.flatMap(r => r.remote)
  const kinds = new Set(objects.map(o => o.kind))
  const csi = (r: RemoteDependency) => /csi/i.test(`${r.what} ${r.repository ?? ''}`)
  const { owned, doubts } = ownershipOf(objects, remote)
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? namespace,
    path: folderOf(sources.find(s => s.path !== undefined)),
    at,
    manifest: { ...manifest, metadata: { ...metadata, namespace: metadata.namespace ?? namespace } },
    project: projects.find(project),
    after,
    owned,
    doubts,
    brings: broughtBy(objects, root)
      .map(made => String((made.manifest.metadata as { name?: unknown }).name))
      .filter(name => name !== metadata.name),
    parent: objects.some(
      o =>
        isArgo(o, 'ApplicationSet') ||
        ((isArgo(o, 'Application') || isFluxKustomization(o)) && o.name !== metadata.name),
    ),
    storage: kinds.has('StorageClass') || kinds.has('CSIDriver') || remote.some(csi),
    wave: Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0),
    objects,
    remote,
  }
}

function placed(object: FoundObject, namespace: string | undefined): FoundObject {
  if (namespace === undefined || namespace === object.namespace || !isNamespaced(object.kind)) return object
  const metadata = { ...(object.value.metadata as object), namespace }
  return { ...object, namespace, value: { ...object.value, metadata } }
}

/** The folder of a source, relative to the repository; empty for a chart's. */
function folderOf(source: Source | undefined): string {
  return (source?.path ?? '').replace(/^\.\//, '').replace(/\/$/, '')
}

/** What one source renders to, as far as the repository itself holds it. */
function renderedSource(source: Source, at: string, root: string): Pick<Rendered, 'objects' | 'remote'> {
  if (source.chart !== undefined) {
    const what = `${source.chart} ${source.targetRevision ?? '(no version pinned)'}`
    return { objects: [], remote: [{ kind: 'chart', what, repository: source.repoURL ?? '', at }] }
  }
  const path = folderOf(source)
  const folder = join(root, path)
  if (path !== '' && existsSync(join(folder, 'Chart.yaml')))
    return { objects: [], remote: [{ kind: 'chart', what: `in ${path}`, at }] }
  if (path !== '' && existsSync(folder) && statSync(folder).isDirectory())
    return source.repoURL === undefined ? renderFluxFolder(folder, root) : renderLocal(folder, root)
  // Only the values of a chart come from such a source.
  if (path === '') return { objects: [], remote: [] }
  return {
    objects: [],
    remote: [{ kind: 'base', what: `${source.repoURL ?? 'its repository'}, folder ${path}`, at }],
  }
}
