import { join } from 'node:path'
import type { BootstrapPart } from '../src/cluster/bootstrap.ts'
import { kitOf } from '../src/cluster/kit-folder.ts'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import { nearest } from '../src/cluster/nearest.ts'
import { keepMirror } from '../src/gitops/repository.ts'
import type { KubernetesObject } from '../src/kubernetes/kubernetes.ts'
import { renderApplication } from '../src/kubernetes/render/application.ts'
import { differences, type ObjectDifference, withoutSecrets } from '../src/kubernetes/render/differences.ts'
import { fillKit } from '../src/kubernetes/render/fill-kit.ts'
import { keepRendering, readKept } from '../src/kubernetes/render/kept.ts'
import { hashOf, type Rendering, renderKustomization } from '../src/kubernetes/render/kustomize.ts'
import { printManifests } from '../src/kubernetes/render/manifests.ts'
import { Fault } from '../src/runbook/fault.ts'
import { clusterFileIn } from './cluster-file.ts'

/** A part of the bootstrap or an application, as it can be rendered. */
interface Source {
  name: string
  kind: 'bootstrap' | 'application'
  from: { objects: KubernetesObject[] } | { folder: string } | { application: KubernetesObject; at: string }
}

export interface RenderedSource {
  name: string
  kind: Source['kind']
  rendering: Rendering
  /** Its manifests for showing: what Secrets hold is left out. */
  text(): string
  /** What was new for the kit. */
  kept: string[]
  /** Against an earlier rendering; undefined where there is none to compare with. */
  differences?: ObjectDifference[]
}

export interface RenderCommand {
  /** All parts of the bootstrap when empty. */
  names: string[]
  applications: boolean
  offline: boolean
  fillKit: boolean
  /** Folder to write renderings into, one file each. */
  output?: string | undefined
  /** Folder with earlier renderings to compare with. */
  compareWith?: string | undefined
  signal: AbortSignal
}

/**
 * Renders the bootstrap, or what is named, outside of any run, one after the other; whoever does not keep them holds one in
 * memory at a time. Throws Fault `render-unknown`, `kit-unnamed` and what rendering throws.
 */
export async function* render(where: string, options: RenderCommand): AsyncGenerator<RenderedSource> {
  const cluster = loadCluster(clusterFileIn(where))
  const kit = kitOf(cluster)
  if (options.fillKit) kitFor(cluster)
  for (const source of chosen(cluster, options)) {
    const kept: string[] = []
    const rendering = await renderSource(cluster, source.from, {
      offline: options.offline,
      signal: options.signal,
      ...(options.fillKit && kit !== undefined
        ? { harvest: async staged => void kept.push(...(await fillKit(kit, staged, options.signal))) }
        : {}),
    })
    const before =
      options.compareWith === undefined ? undefined : readKept(fileOf(options.compareWith, source.name))
    if (options.output !== undefined) keepRendering(fileOf(options.output, source.name), rendering)
    const objects = rendering.objects.map(withoutSecrets)
    yield {
      name: source.name,
      kind: source.kind,
      rendering: { ...rendering, objects },
      text: () => printManifests(objects),
      kept,
      ...(before === undefined ? {} : { differences: differences(before.objects, rendering.objects) }),
    }
  }
}

/**
 * Keeps a mirror of the repository in the kit, for the day on which its remote is away. Undefined where it is no Git
 * repository. Throws Fault `kit-unnamed`, `mirror-failed`.
 */
export async function mirror(
  where: string,
  signal: AbortSignal,
): Promise<{ path: string; commit: string } | undefined> {
  const cluster = loadCluster(clusterFileIn(where))
  return keepMirror(cluster.resolve(cluster.entry.gitops.repository), kitFor(cluster), signal)
}

/**
 * A part of the bootstrap as this run applies it: rendered once, kept in the run's folder, and read from there ever
 * after, so that a resumed run applies what was planned. Without a folder (a plan) it is rendered and not kept.
 */
export async function bootstrapManifests(
  cluster: Cluster,
  part: BootstrapPart,
  folder: string,
  signal: AbortSignal,
): Promise<KubernetesObject[]> {
  if (!('folder' in part.from)) return part.from.objects.map(o => o.value as unknown as KubernetesObject)
  const file = folder === '' ? undefined : fileOf(join(folder, 'rendered'), part.name)
  const kept = file === undefined ? undefined : readKept(file)
  if (kept !== undefined) return kept.objects
  // Its `objects` are what can be read without rendering, not what is to be applied.
  const rendering = await renderSource(cluster, { folder: part.from.folder }, { signal })
  if (file !== undefined) keepRendering(file, rendering)
  return rendering.objects
}

async function renderSource(
  cluster: Cluster,
  from: Source['from'],
  options: Pick<Parameters<typeof renderKustomization>[1], 'offline' | 'harvest' | 'signal'>,
): Promise<Rendering> {
  if ('objects' in from) return { objects: from.objects, sha256: hashOf(from.objects), tools: [], remote: [] }
  const { gitops, tools } = cluster.entry
  const all = {
    root: cluster.resolve(gitops.repository),
    kit: kitOf(cluster),
    program: tools?.kustomize === undefined ? undefined : cluster.resolve(tools.kustomize),
    ...options,
  }
  return 'folder' in from
    ? renderKustomization(from.folder, all)
    : renderApplication(from.application, from.at, all)
}

/**
 * What an application brings, rendered once in a run and kept as the bootstrap is. Throws what rendering throws; the
 * message names file and line of what is out of reach.
 */
export async function applicationManifests(
  cluster: Cluster,
  application: Cluster['applications'][number],
  folder: string,
  signal: AbortSignal,
): Promise<KubernetesObject[]> {
  const file = folder === '' ? undefined : fileOf(join(folder, 'rendered', 'applications'), application.name)
  const kept = file === undefined ? undefined : readKept(file)
  if (kept !== undefined) return kept.objects
  const rendering = await renderSource(cluster, fromOf(application), { signal })
  if (file !== undefined) keepRendering(file, rendering)
  return rendering.objects
}

function fromOf({ manifest, at }: Cluster['applications'][number]): Source['from'] {
  return { application: manifest as unknown as KubernetesObject, at }
}

function chosen(cluster: Cluster, { names, applications }: RenderCommand): Source[] {
  const all: Source[] = [
    ...cluster.bootstrap.map(
      (part): Source => ({
        name: part.name,
        kind: 'bootstrap',
        from:
          'folder' in part.from
            ? { folder: part.from.folder }
            : { objects: part.from.objects.map(o => o.value as unknown as KubernetesObject) },
      }),
    ),
    ...cluster.applications.map((a): Source => ({ name: a.name, kind: 'application', from: fromOf(a) })),
  ]
  for (const name of names) {
    if (all.some(s => s.name === name)) continue
    const known = all.map(s => s.name)
    const meant = nearest(name, known)
    throw new Fault({
      code: 'render-unknown',
      blame: 'operator',
      message: `${name} is neither a part of the bootstrap nor an application${meant ? `; did you mean ${meant}?` : ''}`,
      remedy: `There are: ${known.join(', ')}`,
    })
  }
  if (names.length > 0) return all.filter(s => names.includes(s.name))
  return all.filter(s => applications || s.kind === 'bootstrap')
}

/** The kit’s folder; Fault `kit-unnamed` where recover.yaml names none. */
export function kitFor(cluster: Cluster): string {
  const kit = kitOf(cluster)
  if (kit !== undefined) return kit
  throw new Fault({
    code: 'kit-unnamed',
    blame: 'operator',
    message: 'recover.yaml names no folder for the kit',
    remedy: 'Add a line `kit: ./kit` to recover.yaml (outside Git if its charts are large)',
  })
}

function fileOf(folder: string, name: string): string {
  return join(folder, `${name}.yaml`)
}
