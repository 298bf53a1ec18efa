import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import type { Finding } from './init-questions.ts'
import { filesBelow, type Sources } from './init-sources.ts'
import type { Inventory } from './inventory.ts'
import { isLiteral, type K0sHost } from './k0sctl-file.ts'
import { readYaml } from './yaml-file.ts'

/** The address by which a host is reached while the cluster, and with it perhaps the DNS, is dead. */
export function addressOf(host: K0sHost): Finding {
  if (host.literal) return { value: host.address, why: "k0sctl.yaml's" }
  const { privateAddress } = host
  if (privateAddress !== undefined && isLiteral(privateAddress))
    return {
      value: privateAddress,
      why: `its privateAddress; ${host.address} is a DNS name that this very cluster may serve`,
    }
  return {
    question: `its literal address; k0sctl.yaml has only ${host.address}, a name that this very cluster may serve: dig +short ${host.address}`,
  }
}

/** What provisions a host, and where the files lie that it takes in, if that is not its own folder. */
export interface Provisioning {
  ignition: Finding
  filesDir?: { value: string; why: string }
}

/**
 * A Butane file before a ready-made Ignition config; in the repository before beside it, since configs with secrets are
 * often kept out of Git; by its name before the hostname that it gives.
 */
export function provisioningOf(host: K0sHost, sources: Sources): Provisioning {
  const { repository, k0sctlFile, shown } = sources
  const within = [...new Set([...filesBelow(repository), ...filesIn(dirname(k0sctlFile))])]
  for (const places of [within, beside(repository)]) {
    const ending = (...endings: string[]) => places.filter(path => endings.includes(extname(path)))
    const called = (paths: string[]) => paths.filter(path => basename(path).split('.')[0] === host.name)
    const sourcesHere = ending('.bu', '.fcc')
    const named = called(sourcesHere)
    const ready = called(ending('.ign'))
    const giving = named.length > 0 ? [] : sourcesHere.filter(path => givesHostname(path, host))
    for (const [paths, why] of [
      [named, 'called after the host'],
      [giving, 'it gives the host its name'],
      [ready, 'called after the host'],
    ] as const) {
      const [first, second] = paths
      if (first === undefined) continue
      if (second !== undefined)
        return {
          ignition: { question: `what provisions ${host.name}: which of ${paths.map(shown).join(', ')}?` },
        }
      const unused = paths === ready || ready[0] === undefined ? '' : `; ${basename(ready[0])} is not used`
      const filesDir = filesDirOf(first, sources)
      return {
        ignition: { value: shown(first), why: `${why}${unused}` },
        ...(filesDir === undefined ? {} : { filesDir }),
      }
    }
  }
  return {
    ignition: {
      question: `the Butane file of ${host.name}, or its ready-made Ignition config, most often kept out of Git: no ${host.name}.bu and no ${host.name}.ign is in the repository or beside it`,
    },
  }
}

/** Files next to the repository and in the folders next to it. */
function beside(repository: string): string[] {
  const parent = dirname(repository)
  const folders = entriesOf(parent)
    .filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(entry => join(parent, entry.name))
    .filter(folder => folder !== repository)
  return [parent, ...folders].flatMap(filesIn)
}

function filesIn(folder: string): string[] {
  return entriesOf(folder)
    .filter(entry => entry.isFile())
    .map(entry => join(folder, entry.name))
    .sort()
}

/** Nothing where somebody may not look: what lies beside a repository may be anybody's. */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

function givesHostname(file: string, { name, address }: K0sHost): boolean {
  const files = dig(butane(file), 'storage', 'files')
  if (!Array.isArray(files)) return false
  const hostname = files.find(f => dig(f, 'path') === '/etc/hostname')
  const given = String(dig(hostname, 'contents', 'inline') ?? '').trim()
  return given !== '' && (given === name || given === address || given.split('.')[0] === name)
}

/** Butane takes its `local:` files from one folder: its own, or another that all of them are in. */
function filesDirOf(file: string, { repository, k0sctlFile, shown }: Sources): Provisioning['filesDir'] {
  if (extname(file) === '.ign') return undefined
  const locals = localsIn(butane(file))
  const holds = (folder: string) => locals.every(local => existsSync(join(folder, local)))
  if (holds(dirname(file))) return undefined
  const other = [repository, dirname(k0sctlFile), dirname(dirname(file))].find(holds)
  return other === undefined
    ? undefined
    : { value: shown(other), why: 'holds the local: files that it names' }
}

function localsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(localsIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'local' || key.endsWith('_local')
      ? [inner].flat().filter((local): local is string => typeof local === 'string')
      : localsIn(inner),
  )
}

/** A Butane file's content; undefined when it cannot be read, which is told when it is compiled. */
function butane(file: string): unknown {
  try {
    return readYaml(file)[0]?.value
  } catch {
    return undefined
  }
}

function dig(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (here, key) => (here as Record<string, unknown> | null | undefined)?.[key],
    value,
  )
}

/** The Synology NAS by what its CSI driver is told. */
export function nasOf(inventory: Inventory): Finding {
  // The provisioner's name and its parameter `dsm` are synology-csi's; 5001 is DSM's HTTPS port as delivered.
  const classes = inventory.storageClasses.filter(c => c.provisioner === 'csi.san.synology.com')
  const named = [...new Set(classes.flatMap(c => c.parameters.dsm ?? []))]
  const [dsm] = named
  if (named.length === 1 && dsm !== undefined) {
    const which = classes.find(c => c.parameters.dsm === dsm)
    const host = dsm.includes(':') ? `[${dsm}]` : dsm
    return {
      value: `https://${host}:5001`,
      why: `StorageClass ${which?.name}; 5001 is DSM's usual port for HTTPS`,
    }
  }
  return {
    question:
      named.length > 1
        ? `which NAS is it, https://ADDRESS:5001? The StorageClasses name ${named.join(', ')}`
        : 'https://ADDRESS:5001 of the Synology NAS; client-info.yml of synology-csi has its host',
  }
}

/** The URL from which Argo CD or Flux reads the repository. @param flux what Flux's own source says of it */
export function remoteOf(inventory: Inventory, repository: string, flux: string | undefined): Finding {
  if (flux !== undefined) return { value: withoutLogin(flux), why: 'where Flux reads it from' }
  const said = [
    ...new Set(
      [...inventory.applications, ...inventory.applicationSets].flatMap(a =>
        a.repository === undefined || a.repository.includes('{{') ? [] : [a.repository],
      ),
    ),
  ]
  if (said.length === 1 && said[0] !== undefined)
    return { value: withoutLogin(said[0]), why: 'repoURL of the Applications in Git' }
  const origin = originOf(repository)
  if (origin !== undefined) return { value: withoutLogin(origin), why: 'origin of the repository' }
  return {
    question:
      'the URL from which Argo CD reads this repository; where you push from: git remote get-url origin',
  }
}

/** The URL of `origin`, or of the only remote there is, in the repository's own settings. */
function originOf(repository: string): string | undefined {
  const dot = join(repository, '.git')
  if (!existsSync(dot)) return undefined
  const remotes = new Map<string, string>()
  let remote: string | undefined
  for (const line of readIfThere(join(gitFolder(dot), 'config')).split('\n')) {
    const section = /^\s*\[\s*(\w+)(?:\s+"(.*)")?\s*\]/.exec(line)
    if (section) remote = section[1] === 'remote' ? section[2] : undefined
    const url = /^\s*url\s*=\s*"?([^"#;\s]+)/.exec(line)?.[1]
    if (remote !== undefined && url !== undefined && !remotes.has(remote)) remotes.set(remote, url)
  }
  return remotes.get('origin') ?? (remotes.size === 1 ? [...remotes.values()][0] : undefined)
}

/** Where a repository's settings lie: `.git` is a file in a worktree and in a submodule. */
function gitFolder(dot: string): string {
  if (statSync(dot).isDirectory()) return dot
  const named = /^gitdir:\s*(.+)$/m.exec(readIfThere(dot))?.[1]
  if (named === undefined) return dot
  const folder = resolve(dirname(dot), named.trim())
  const common = readIfThere(join(folder, 'commondir')).trim()
  return common === '' ? folder : resolve(folder, common)
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** A token in a URL is a secret, which no file of ours may hold; a user name for SSH (`git@`) is none. */
function withoutLogin(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1').replace(/^(\w+:\/\/[^/:@]*):[^/@]*@/, '$1@')
}
