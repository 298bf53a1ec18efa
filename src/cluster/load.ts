import { basename, dirname, resolve } from 'node:path'
import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import { applicationProblems } from './application-choices.ts'
import { claimsAsBrought, claimsOutOfNowhere } from './application-claims.ts'
import { type ApplicationSource, applicationSetsOf, applicationsOf } from './applications.ts'
import { type BootstrapPart, bootstrapOf, onePasswordNamespace } from './bootstrap.ts'
import { hashOf } from './cluster-hash.ts'
import { crossChecks, withoutBackup } from './cross-checks.ts'
import { type Inventory, readInventory } from './inventory.ts'
import { type K0sctlFile, readK0sctl } from './k0sctl-file.ts'
import { artifactsOf, namedFiles, unfit } from './named-files.ts'
import { ClusterFileFault, type Problem } from './problem.ts'
import { type ClusterFile, clusterFile, type Strategy } from './schema.ts'
import { problemsOf } from './schema-problems.ts'
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

function invalid(problems: Problem[], shown: string): ClusterFileFault {
  return new ClusterFileFault('cluster-file-invalid', problems, shown)
}
