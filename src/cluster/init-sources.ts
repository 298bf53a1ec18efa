import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { Fault } from '../runbook/fault.ts'
import { type FluxFound, fluxIn } from './init-flux.ts'
import { type Inventory, readInventory } from './inventory.ts'
import { type K0sctlFile, readK0sctl } from './k0sctl-file.ts'
import { kustomizationOf } from './kustomization.ts'
import { readYaml } from './yaml-file.ts'

/** Where Applications come from: a folder of Argo CD's, one of Flux's Kustomizations, or folders that become one each. */
export type Applications =
  | { from: 'folder'; folder: string; names: string[] }
  | { from: 'flux'; flux: FluxFound }
  | { from: 'generated'; generate: string[]; folders: string[] }
  | { from: 'unknown' }

/** The person's files, read. */
export interface Sources {
  repository: string
  k0sctlFile: string
  k0sctl: K0sctlFile
  inventory: Inventory
  bootstrap: string | undefined
  applications: Applications
  /** A path as the cluster file has it: relative to its folder. */
  shown(path: string): string
}

/**
 * Reads the person's files for `recover init`; `file` is the cluster file that is to be written. Throws Faults
 * `init-no-repository`, `init-no-k0sctl`, `init-which-k0sctl`, `init-hosts-alike`, and ClusterFileFault when a file
 * cannot be read.
 */
export function readSources(
  options: { repository: string; k0sctl?: string | undefined },
  file: string,
  env: NodeJS.ProcessEnv,
): Sources {
  const repository = resolve(options.repository)
  if (!existsSync(repository) || !statSync(repository).isDirectory())
    throw new Fault({
      code: 'init-no-repository',
      blame: 'operator',
      message: `${options.repository} is no folder`,
      remedy: 'Name the folder that holds your GitOps repository, checked out on this computer',
    })
  const shown = (path: string) => {
    const way = relative(dirname(file), path)
    return way === '' ? '.' : way.startsWith('.') ? way : `./${way}`
  }
  const k0sctlFile = options.k0sctl === undefined ? findK0sctl(repository) : resolve(options.k0sctl)
  const k0sctl = readK0sctl(k0sctlFile, env, shown(k0sctlFile))
  const alike = k0sctl.hosts.find((host, i) => k0sctl.hosts.findIndex(h => h.name === host.name) !== i)
  if (alike)
    throw new Fault({
      code: 'init-hosts-alike',
      blame: 'operator',
      message: `${shown(k0sctlFile)} has two hosts with the short name ${alike.name}`,
      remedy: 'Give each of them a `hostname` of its own in k0sctl.yaml',
      at: k0sctl.at(['spec', 'hosts']),
    })
  const inventory = readInventory(repository)
  const bootstrap = bootstrapOf(inventory)
  const applications = applicationsOf(inventory, repository, bootstrap)
  return { repository, k0sctlFile, k0sctl, inventory, bootstrap, applications, shown }
}

function findK0sctl(repository: string): string {
  const usual = ['k0sctl.yaml', 'k0sctl.yml']
    .map(name => join(repository, name))
    .find(path => existsSync(path))
  if (usual !== undefined) return usual
  const found = filesBelow(repository).filter(path => /^k0sctl.*\.ya?ml$/.test(basename(path)))
  if (found.length === 1 && found[0] !== undefined) return found[0]
  throw found.length === 0
    ? new Fault({
        code: 'init-no-k0sctl',
        blame: 'operator',
        message: `there is no k0sctl.yaml in ${repository}`,
        remedy: 'Say where it is with --k0sctl FILE',
      })
    : new Fault({
        code: 'init-which-k0sctl',
        blame: 'operator',
        message: `${repository} holds several: ${found.map(path => relative(repository, path)).join(', ')}`,
        remedy: 'Say which one it is with --k0sctl FILE',
      })
}

/** Every file below a folder, but what is hidden, installed or fetched. */
export function filesBelow(folder: string, depth = 0): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => a.name.localeCompare(b.name))
    .flatMap(entry => {
      if (entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'charts') return []
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return depth < 8 ? filesBelow(path, depth + 1) : []
      return entry.isFile() ? [path] : []
    })
}

/** The folder by whose name its owner says that it comes first. */
function bootstrapOf(inventory: Inventory): string | undefined {
  const named = inventory.folders.filter(folder => /(^|[-_0-9])bootstrap$/.test(basename(folder)))
  return named.length === 1 ? named[0] : undefined
}

function applicationsOf(inventory: Inventory, root: string, bootstrap: string | undefined): Applications {
  const { applications, applicationSets } = inventory
  if (applications.length > 0)
    return {
      from: 'folder',
      folder: commonFolder(applications.map(a => a.at)),
      names: applications.map(a => a.name),
    }
  const flux = fluxIn(inventory.folders, root)
  if (flux !== undefined) return { from: 'flux', flux }
  const generates = applicationSets.flatMap(set => set.generates)
  if (generates.length > 0) return { from: 'generated', generate: generates, folders: [] }
  // What the bootstrap takes in stays an application too: Argo CD keeps it up to date afterwards, as it does itself.
  const others = inventory.folders.filter(folder => folder !== bootstrap)
  const inside = new Set(others.flatMap(folder => takenIn(root, folder)))
  const folders = others.filter(folder => folder !== '.' && !inside.has(folder))
  const parents = [...new Set(folders.map(folder => dirname(folder)))].sort()
  const generate = parents.flatMap(parent => {
    const here = folders.filter(folder => dirname(folder) === parent)
    const all = others.filter(folder => dirname(folder) === parent)
    return parent !== '.' && here.length === all.length && here.length > 1 ? [`${parent}/*`] : here
  })
  return generate.length > 0 ? { from: 'generated', generate, folders } : { from: 'unknown' }
}

/** Folders of the repository that a kustomization takes in, relative to the repository. */
export function takenIn(root: string, folder: string): string[] {
  const file = kustomizationOf(join(root, folder))
  if (file === undefined) return []
  const value = (readYaml(file, relative(root, file))[0]?.value ?? {}) as Record<string, unknown>
  return ['resources', 'bases', 'components'].flatMap(field => {
    const entries = value[field]
    return (Array.isArray(entries) ? entries : [])
      .filter((entry): entry is string => typeof entry === 'string' && !/^\w+:\/\/|\?ref=/.test(entry))
      .map(entry => resolve(root, folder, entry))
      .filter(path => existsSync(path) && statSync(path).isDirectory())
      .map(path => relative(root, path) || '.')
  })
}

/** The deepest folder that holds all of some places (`argocd/grafana.yaml:2:1`). */
function commonFolder(places: string[]): string {
  const folders = places.map(at => dirname(at.replace(/(:\d+){1,2}$/, '')).split('/'))
  const [first = []] = folders
  const shared = first.findIndex((part, i) => folders.some(folder => folder[i] !== part))
  return (shared === -1 ? first : first.slice(0, shared)).join('/') || '.'
}
