import { createHash } from 'node:crypto'
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { z } from 'zod'
import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import { applicationProblems } from './application-choices.ts'
import { claimsAsBrought, claimsOutOfNowhere } from './application-claims.ts'
import { type ApplicationSource, applicationSetsOf, applicationsOf } from './applications.ts'
import { type BootstrapPart, bootstrapOf, onePasswordNamespace } from './bootstrap.ts'
import { type Inventory, readInventory } from './inventory.ts'
import { type K0sctlFile, readK0sctl } from './k0sctl-file.ts'
import { nearest } from './nearest.ts'
import { ClusterFileFault, complaint, type Problem } from './problem.ts'
import { type ArtifactEntry, type ClusterFile, clusterFile, type Strategy } from './schema.ts'
import { readYaml, type YamlDocument } from './yaml-file.ts'

/** recover.yaml and everything that it names, read and checked. */
export interface Cluster {
  /** Absolute path of recover.yaml. */
  file: string
  folder: string
  entry: ClusterFile
  k0sctl: K0sctlFile
  inventory: Inventory
  applications: ApplicationSource[]
  /** ApplicationSets as Git has them; the Applications that they will make are among `applications`. */
  applicationSets: KubernetesObject[]
  bootstrap: BootstrapPart[]
  /** Namespace of 1Password Connect when the bootstrap brings it. */
  onePassword: string | undefined
  /** Image of the Jobs that hash and copy files: needs sh, coreutils and rsync. */
  jobImage: string
  /** Image of the Jobs that restore backups: needs sh, coreutils and restic. */
  resticImage: string
  /** The Application of that name, as Git has it. */
  applicationManifest(name: string): KubernetesObject
  /** The AppProject that must be there before it, if that is in Git beside it. */
  projectManifest(name: string): KubernetesObject | undefined
  /** Further sources of the volume map, with absolute paths. */
  evidence: { kind: string; path: string; named: string }[]
  /** Archive of `k0s backup` from which the control plane is restored; undefined when it begins empty. */
  restore: { file: string; named: string } | undefined
  /** Absolute path of a path in the file. */
  resolve(path: string): string
  strategy(claim: string): Strategy
  /** Hash over recover.yaml and every file that it names: a change between two parts of a run is noticed. */
  hash: string
}

/** Alpine with OpenSSH and rsync, a few megabytes; the tag can be replaced by a digest or a mirror's name. */
const defaultJobImage = 'docker.io/instrumentisto/rsync-ssh:alpine3.22'

/** restic's own image, made from Alpine. */
const defaultResticImage = 'docker.io/restic/restic:0.18.1'

/** Where a question is still open: the scalar `?`. */
const open = '?'

/**
 * Loads recover.yaml. Throws {@link ClusterFileFault} with every problem at once, each with file, line and column:
 * `questions-open` when only answers are missing, `cluster-file-invalid` otherwise.
 */
export function loadCluster(file: string, env: NodeJS.ProcessEnv = process.env): Cluster {
  const path = resolve(file)
  const shown = basename(path)
  const [document, second] = readYaml(path, shown)
  if (!document) throw invalid([{ at: `${shown}:1:1`, path: '', message: 'the file is empty' }], shown)
  if (second) throw invalid([{ at: second.at([]), path: '', message: 'one document is enough' }], shown)
  const questions = openQuestions(document)
  const parsed = clusterFile.safeParse(document.value)
  const asked = new Set(questions.map(q => q.path))
  const problems = parsed.success ? [] : problemsOf(parsed.error, document).filter(p => !asked.has(p.path))
  if (problems.length > 0) throw invalid([...problems, ...questions], shown)
  if (questions.length > 0) throw new ClusterFileFault('questions-open', questions, shown)
  const entry = parsed.data as ClusterFile

  const folder = dirname(path)
  const at = (p: string) => resolve(folder, p)
  for (const [where, p, wanted = 'file'] of namedFiles(entry)) {
    const message = unfit(at(p), p, wanted)
    if (message) problems.push({ at: document.at(where), path: where.join('.'), message })
  }
  if (problems.length > 0) throw invalid(problems, shown)

  const k0sctl = readK0sctl(at(entry.k0sctl), env, entry.k0sctl)
  const inGit = readInventory(at(entry.gitops.repository))
  const applications = applicationsOf(entry, at)
  const inventory = { ...inGit, claims: claimsAsBrought(inGit.claims, applications) }
  const mounted = claimsOutOfNowhere(inventory.claims, applications).map(m => m.claim)
  problems.push(
    ...withoutBackup(entry, inventory.claims, document),
    ...crossChecks(entry, k0sctl, [...inventory.claims.map(c => c.id), ...mounted], document),
    ...applicationProblems(entry, applications, document),
  )
  if (problems.length > 0) throw invalid(problems, shown)
  const applicationSets = applicationSetsOf(entry, at)
  const bootstrap = bootstrapOf(entry, at)
  return {
    file: path,
    folder,
    entry,
    k0sctl,
    inventory,
    applications,
    applicationSets: applicationSets as unknown as KubernetesObject[],
    bootstrap,
    onePassword: onePasswordNamespace(bootstrap),
    jobImage: entry.tools?.jobImage ?? defaultJobImage,
    resticImage: entry.tools?.resticImage ?? defaultResticImage,
    applicationManifest(name) {
      const found = applications.find(a => a.name === name)
      if (!found) throw new Error(`no application ${name}`)
      return found.manifest as unknown as KubernetesObject
    },
    projectManifest: name =>
      applications.find(a => a.name === name)?.project as unknown as KubernetesObject | undefined,
    evidence: evidenceOf(entry, at),
    restore: entry.restore && { file: at(entry.restore.k0s), named: entry.restore.k0s },
    resolve: at,
    strategy: claim => entry.volumes[claim] ?? entry.volumes.default,
    hash: hashOf(
      [path, ...namedFiles(entry).map(([, p]) => at(p))],
      new Map([
        ...artifactsOf(entry).map(([, a]): [string, string] => [at(a.file), a.sha256 ?? 'signed']),
        ...(entry.restore ? [[at(entry.restore.k0s), 'agreed to by its hash'] as const] : []),
      ]),
      // Of the repository what this run goes by: what applications hold besides their claims may be mended meanwhile.
      [
        inventory.claims,
        inventory.volumes,
        inventory.storageClasses,
        applications.map(a => a.manifest),
        applicationSets,
        bootstrap.map(part => part.from.objects),
      ],
    ),
  }
}

/** An archive that is restored from is a witness as well. */
function evidenceOf(entry: ClusterFile, at: (path: string) => string): Cluster['evidence'] {
  const named = (entry.evidence ?? []).map(named => ({ named, ...kindAndPath(named, at) }))
  const archive = entry.restore?.k0s
  if (archive === undefined || named.some(n => n.kind === 'backup' && n.path === at(archive))) return named
  return [...named, { named: `backup:${archive}`, kind: 'backup', path: at(archive) }]
}

function kindAndPath(named: string, at: (path: string) => string): { kind: string; path: string } {
  const end = named.indexOf(':')
  return { kind: named.slice(0, end), path: at(named.slice(end + 1)) }
}

function openQuestions(document: YamlDocument): Problem[] {
  const found: Problem[] = []
  const walk = (value: unknown, path: PropertyKey[]) => {
    if (value === open) {
      const comment = document.comment(path).replace(/^QUESTION:\s*/, '')
      found.push({ at: document.at(path), path: path.join('.'), message: comment || 'not answered yet' })
    } else if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, [...path, i])
    else if (value !== null && typeof value === 'object')
      for (const [key, item] of Object.entries(value)) walk(item, [...path, key])
  }
  walk(document.value, [])
  return found
}

function problemsOf(error: z.ZodError, document: YamlDocument): Problem[] {
  return flatten(error.issues).flatMap((issue): Problem[] => {
    const path = issue.path
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(path)
      return issue.keys.map(key => {
        const meant = nearest(key, known)
        return {
          at: document.at([...path, key]),
          path: [...path, key].join('.'),
          message: `unknown key${meant ? `; did you mean ${meant}?` : `; known here: ${known.join(', ')}`}`,
        }
      })
    }
    const missing =
      issue.code === 'invalid_type' && issue.input === undefined && !hasValue(document.value, path)
    return [{ at: document.at(path), path: path.join('.'), message: missing ? 'missing' : complaint(issue) }]
  })
}

/** A union's failure says nothing by itself; the branch whose keys are there and that came furthest says what is wrong. */
function flatten(issues: z.core.$ZodIssue[], above: PropertyKey[] = []): z.core.$ZodIssue[] {
  return issues.flatMap(issue => {
    const path = [...above, ...issue.path]
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{ ...issue, path }]
    const [meant = []] = [...issue.errors].sort((a, b) => foreign(a) - foreign(b) || depth(b) - depth(a))
    return flatten(meant, path)
  })
}

/** Keys that a branch does not know or misses: of another branch, most likely. */
function foreign(issues: z.core.$ZodIssue[]): number {
  return issues.reduce(
    (sum, issue) =>
      sum +
      (issue.code === 'unrecognized_keys'
        ? issue.keys.length
        : issue.code === 'invalid_type' && issue.input === undefined
          ? 1
          : 0),
    0,
  )
}

function depth(issues: z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(i => i.path.length))
}

function knownKeys(path: PropertyKey[]): string[] {
  let here: unknown = clusterFile
  for (const key of path) {
    const schema = unwrap(here)
    here = schema.shape?.[key as string] ?? schema.element ?? schema.valueType
  }
  return Object.keys(unwrap(here).shape ?? {})
}

interface Shaped {
  shape?: Record<string, unknown>
  element?: unknown
  valueType?: unknown
  unwrap?: () => unknown
  options?: unknown[]
}

function unwrap(schema: unknown): Shaped {
  const here = (schema ?? {}) as Shaped
  if (here.shape || here.element || here.valueType) return here
  if (here.options) return unwrap(here.options.at(-1))
  return here.unwrap ? unwrap(here.unwrap()) : here
}

function hasValue(value: unknown, path: PropertyKey[]): boolean {
  let here = value
  for (const key of path) here = (here as Record<PropertyKey, unknown> | undefined)?.[key]
  return here !== undefined
}

type Wanted = 'file' | 'folder' | 'either'

/** Why something that recover.yaml names cannot be what it is named for; undefined where it can. */
function unfit(path: string, named: string, wanted: Wanted): string | undefined {
  if (!existsSync(path)) return `there is no ${wanted === 'folder' ? 'folder' : 'file'} ${named}`
  const isFolder = statSync(path).isDirectory()
  if (wanted === 'either' || isFolder === (wanted === 'folder')) return undefined
  return isFolder ? `${named} is a folder, not a file` : `${named} is a file, not a folder`
}

/** Every file and folder that recover.yaml names, with the place where it does; a file, where nothing is said. */
function namedFiles(entry: ClusterFile): [PropertyKey[], string, Wanted?][] {
  const files: [PropertyKey[], string, Wanted?][] = [
    [['k0sctl'], entry.k0sctl],
    [['gitops', 'repository'], entry.gitops.repository, 'folder'],
  ]
  const { bootstrap, applications } = entry.gitops
  if (typeof bootstrap === 'string') files.push([['gitops', 'bootstrap'], bootstrap, 'folder'])
  else
    for (const [i, part] of bootstrap.entries())
      for (const key of ['rendered', 'kustomize'] as const)
        if (part[key] !== undefined)
          files.push([['gitops', 'bootstrap', i, key], part[key], key === 'kustomize' ? 'folder' : 'file'])
  if (typeof applications === 'string') files.push([['gitops', 'applications'], applications, 'folder'])
  else if (applications !== undefined && 'flux' in applications)
    files.push([['gitops', 'applications', 'flux'], applications.flux, 'folder'])
  for (const [name, host] of Object.entries(entry.hosts)) {
    files.push([['hosts', name, 'ignition'], host.ignition])
    if (host.filesDir) files.push([['hosts', name, 'filesDir'], host.filesDir, 'folder'])
  }
  for (const [where, { file, signature }] of artifactsOf(entry)) {
    files.push([[...where, 'file'], file])
    if (signature) files.push([[...where, 'signature'], signature])
  }
  for (const [i, check] of (entry.checks ?? []).entries())
    if ('http' in check && typeof check.tls === 'object' && 'authority' in check.tls)
      files.push([['checks', i, 'tls', 'authority'], check.tls.authority])
  if (entry.ssh?.config) files.push([['ssh', 'config'], entry.ssh.config])
  for (const [i, named] of (entry.evidence ?? []).entries())
    files.push([['evidence', i], named.slice(named.indexOf(':') + 1), 'either'])
  if (entry.restore) files.push([['restore', 'k0s'], entry.restore.k0s])
  if (entry.secrets.file) files.push([['secrets', 'file'], entry.secrets.file])
  if (entry.tools?.k0sctl) files.push([['tools', 'k0sctl'], entry.tools.k0sctl])
  if (entry.tools?.kustomize) files.push([['tools', 'kustomize'], entry.tools.kustomize])
  if (entry.tools?.butane) files.push([['tools', 'butane'], entry.tools.butane])
  if (entry.tools?.imageKey) files.push([['tools', 'imageKey', 'file'], entry.tools.imageKey.file])
  return files
}

/** Every image, with the place where it is named. */
function artifactsOf(entry: ClusterFile): [PropertyKey[], ArtifactEntry][] {
  const parts = (['kernel', 'initrd', 'iso'] as const).map(part => [part, entry.installer?.[part]] as const)
  return [
    ...Object.entries(entry.hosts).flatMap(([name, { image }]): [PropertyKey[], ArtifactEntry][] =>
      image ? [[['hosts', name, 'image'], image]] : [],
    ),
    ...parts.flatMap(([part, artifact]): [PropertyKey[], ArtifactEntry][] =>
      artifact ? [[['installer', part], artifact]] : [],
    ),
  ]
}

/** Claims that are to be restored, and of which nothing says from where. */
function withoutBackup(entry: ClusterFile, claims: { id: string }[], document: YamlDocument): Problem[] {
  return claims
    .filter(({ id }) => (entry.volumes[id] ?? entry.volumes.default) === 'restore' && !entry.backups?.[id])
    .map(({ id }) => ({
      at: document.at(['volumes', entry.volumes[id] ? id : 'default']),
      path: 'volumes',
      message: `${id} is to be restored, and \`backups\` does not say from where`,
    }))
}

/** What no single field can be wrong about alone. */
function crossChecks(
  entry: ClusterFile,
  k0sctl: K0sctlFile,
  claims: string[],
  document: YamlDocument,
): Problem[] {
  const problems: Problem[] = []
  const wrong = (path: PropertyKey[], message: string) =>
    problems.push({ at: document.at(path), path: path.join('.'), message })
  const names = k0sctl.hosts.map(h => h.name)
  for (const name of names)
    if (!entry.hosts[name]) wrong(['hosts'], `${name} stands in ${entry.k0sctl} and has no entry here`)
  for (const name of Object.keys(entry.hosts))
    if (!names.includes(name)) {
      const meant = nearest(name, names)
      wrong(['hosts', name], `${entry.k0sctl} has no such host${meant ? `; did you mean ${meant}?` : ''}`)
    }
  if (entry.copyOn !== undefined && !names.includes(entry.copyOn)) {
    const meant = nearest(entry.copyOn, names)
    wrong(['copyOn'], `${entry.k0sctl} has no such host${meant ? `; did you mean ${meant}?` : ''}`)
  }
  const { remote, serve } = entry.gitops
  if (serve && !/^https?:\/\//.test(remote ?? ''))
    wrong(
      ['gitops', 'serve'],
      remote === undefined
        ? 'gitops.remote must say which URL is to be served'
        : `only repositories with an http or https URL can be served in their place, and ${remote.replace(/^(\w+:\/\/)[^/@]+@/, '$1')} has none; docs/gitops.md says what to do by hand`,
    )
  if (serve && entry.kit === undefined)
    wrong(['gitops', 'serve'], 'the mirror that it serves lies in the kit: name a folder as `kit`')
  const disks = Object.entries(entry.hosts).map(([name, host]) => ({
    name,
    id: host.disk.serial ?? host.disk.wwn,
  }))
  for (const { name, id } of disks) {
    const twin = disks.find(d => d.id === id)
    if (twin && twin.name !== name)
      wrong(['hosts', name, 'disk'], `names the same disk as ${twin.name}: ${id}`)
  }
  const named = [
    ...Object.keys(entry.volumes).map(claim => ['volumes', claim] as const),
    ...Object.keys(entry.luns ?? {}).map(claim => ['luns', claim] as const),
    ...Object.keys(entry.giveUp ?? {}).map(claim => ['giveUp', claim] as const),
    ...Object.keys(entry.backups ?? {}).map(claim => ['backups', claim] as const),
  ]
  for (const [where, claim] of named)
    if (!(where === 'volumes' && claim === 'default') && !claims.includes(claim)) {
      const meant = nearest(claim, claims)
      wrong(
        [where, claim],
        `no such claim in ${entry.gitops.repository}${meant ? `; did you mean ${meant}?` : `; there are: ${claims.join(', ')}`}`,
      )
    }
  if (entry.restore)
    for (const [claim, strategy] of Object.entries(entry.volumes))
      if (strategy !== 'adopt')
        wrong(
          ['volumes', claim],
          `with restore.k0s every claim is bound to its old disk again, so that only adopt is possible, not ${strategy}`,
        )
  const { version } = k0sctl
  if (version === undefined || !/^\d+\.\d+\.\d+\+k0s\.\d+$/.test(version))
    problems.push({
      at: k0sctl.at(['spec', 'k0s', 'version']).replace(/^[^:]+/, entry.k0sctl),
      path: 'spec.k0s.version',
      message:
        version === undefined
          ? 'missing: without a pinned version k0sctl asks the internet which is newest'
          : `expected an exact k0s version such as v1.34.2+k0s.0, got ${version}`,
    })
  return problems
}

/**
 * @param images path to what is said of its content. They are half a gigabyte each and every command loads the
 * file: what stands in them is compared with that before they are used, so that and their size are enough here.
 */
function hashOf(files: string[], images: ReadonlyMap<string, string>, read: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(read))
  const chunk = Buffer.alloc(256 * 1024)
  for (const file of files) {
    hash.update(file)
    const declared = images.get(file)
    const stat = statSync(file)
    if (declared !== undefined) hash.update(`${declared} ${stat.size}`)
    else if (!stat.isFile()) hash.update('folder')
    else {
      const fd = openSync(file, 'r')
      try {
        for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk))
          hash.update(chunk.subarray(0, read))
      } finally {
        closeSync(fd)
      }
    }
  }
  return hash.digest('hex').slice(0, 32)
}

function invalid(problems: Problem[], shown: string): ClusterFileFault {
  return new ClusterFileFault('cluster-file-invalid', problems, shown)
}
