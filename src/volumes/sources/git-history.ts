import { parseAllDocuments } from 'yaml'
import { goYaml } from '../../kubernetes/go-yaml.ts'
import type { KubernetesObject } from '../../kubernetes/kubernetes.ts'
import { testimonyOfVolume } from './cluster-objects.ts'
import type { VolumeSource, VolumeTestimony } from './volume-source.ts'

/** One file before and after one commit, by the names of its contents; `none` where there was or is no file. */
interface Change {
  commit: string
  /** `2026-04-02`. */
  day: string
  path: string
  before: string
  after: string
}

const none = /^0+$/
const manifest = /\.(ya?ml|json)$/
const mayHoldVolumes = /kind["']?\s*:\s*["']?PersistentVolume/
/** Larger files are bundles of charts, whose volumes are nobody's. */
const largest = 1024 * 1024

/**
 * PersistentVolumes and claims that former commits of a GitOps repository had and that it has no more, each with the
 * commit that removed it. Read by Git's plumbing from what is in the clone: nothing is fetched, no file is written. What
 * cannot be read (no Git, no repository, a shallow clone) is a remark.
 *
 * @param living what the repository says now, however it comes to say it: patched, rendered.
 */
export async function readGitHistory(
  name: string,
  folder: string,
  living: { claims: readonly string[]; volumes: readonly { claim: string; lun: string }[] },
  signal?: AbortSignal,
): Promise<VolumeSource> {
  const git = gitIn(folder, signal)
  const about = await git(['rev-parse', '--is-shallow-repository', 'HEAD'])
  if (about.failed) return { name, testimonies: [], remarks: [`its history was not read: ${about.why}`] }
  const remarks = about.text.startsWith('true')
    ? ['this clone has only the newest commits; what older ones had is not known']
    : []
  const log = await git([
    ...['log', '--raw', '--no-abbrev', '--no-renames', '--diff-merges=first-parent', '--date=short'],
    ...['--format=commit %H %cd', '--', '.'],
  ])
  const head = await git(['ls-tree', '-r', 'HEAD', '--', '.'])
  if (log.failed || head.failed)
    return { name, testimonies: [], remarks: [`its history was not read: ${log.why || head.why}`] }
  const changes = changesOf(log.text)
  const present = blobsOf(head.text)
  const wanted = new Set(
    [...present, ...changes.flatMap(c => [c.before, c.after])].filter(b => !none.test(b)),
  )
  const objects = await objectsIn(git, [...wanted])
  return { name, remarks, ...gone(name, changes, present, objects, living) }
}

/** Goes back in time: what a commit took away and nothing has now was last seen before it. */
function gone(
  source: string,
  changes: Change[],
  present: string[],
  objects: Map<string, KubernetesObject[]>,
  living: { claims: readonly string[]; volumes: readonly { claim: string; lun: string }[] },
): Pick<VolumeSource, 'testimonies' | 'formerClaims'> {
  const volumesIn = (blob: string) =>
    (objects.get(blob) ?? []).flatMap(o => (o.kind === 'PersistentVolume' ? volumeOf(source, o) : []))
  const claimsIn = (blob: string) =>
    (objects.get(blob) ?? []).flatMap(({ kind, metadata: { namespace, name } }) =>
      kind === 'PersistentVolumeClaim' && namespace !== undefined ? [`${namespace}/${name}`] : [],
    )
  const key = (v: { claim: string; lun: string }) => `${v.claim} ${v.lun}`
  const known = new Set([...living.volumes, ...present.flatMap(volumesIn)].map(key))
  const knownClaims = new Set([...living.claims, ...present.flatMap(claimsIn)])
  const testimonies: VolumeTestimony[] = []
  const formerClaims: { claim: string; where: string }[] = []
  for (const { commit, day, path, before, after } of changes) {
    const kept = new Set(volumesIn(after).map(key))
    const where = `commit ${commit.slice(0, 10)} of ${day} removed it from ${path}`
    for (const volume of volumesIn(before).filter(v => !kept.has(key(v)) && !known.has(key(v)))) {
      known.add(key(volume))
      testimonies.push({ ...volume, deleted: true, where })
    }
    for (const claim of claimsIn(before).filter(c => !claimsIn(after).includes(c) && !knownClaims.has(c))) {
      knownClaims.add(claim)
      formerClaims.push({ claim, where })
    }
  }
  return { testimonies, ...(formerClaims.length > 0 ? { formerClaims } : {}) }
}

function volumeOf(source: string, object: KubernetesObject): VolumeTestimony[] {
  try {
    const said = testimonyOfVolume(source, object)
    return said === undefined ? [] : [said]
  } catch {
    // A size that no parser takes (a template's) says nothing of which LUN it is.
    return []
  }
}

/** `git log --raw`: `:100644 100644 BEFORE AFTER M<tab>PATH` below each `commit HASH DAY`, newest first. */
function changesOf(log: string): Change[] {
  const changes: Change[] = []
  let commit = ''
  let day = ''
  for (const line of log.split('\n')) {
    const [, hash, date] = /^commit ([0-9a-f]+) (\S+)$/.exec(line) ?? []
    if (hash !== undefined) [commit, day] = [hash, date ?? '']
    const [, before, after, path] = /^:\d+ \d+ ([0-9a-f]+) ([0-9a-f]+) \w+\t(.*)$/.exec(line) ?? []
    if (before !== undefined && after !== undefined && path !== undefined && manifest.test(path))
      changes.push({ commit, day, path, before, after })
  }
  return changes
}

function blobsOf(tree: string): string[] {
  return tree.split('\n').flatMap(line => {
    const [, blob, path = ''] = /^\d+ blob ([0-9a-f]+)\t(.*)$/.exec(line) ?? []
    return blob !== undefined && manifest.test(path) ? [blob] : []
  })
}

/** PersistentVolumes and claims by the name of the content that they stand in. */
async function objectsIn(git: Git, blobs: string[]): Promise<Map<string, KubernetesObject[]>> {
  const found = new Map<string, KubernetesObject[]>()
  // A few hundred at a time: what they hold together fits into memory.
  for (let i = 0; i < blobs.length; i += 500) {
    const some = blobs.slice(i, i + 500)
    const sizes = await git(['cat-file', '--batch-check'], `${some.join('\n')}\n`)
    const small = sizes.text.split('\n').flatMap(line => {
      const [, blob, bytes] = /^([0-9a-f]+) blob (\d+)$/.exec(line) ?? []
      return blob !== undefined && Number(bytes) <= largest ? [blob] : []
    })
    const { bytes } = await git(['cat-file', '--batch'], `${small.join('\n')}\n`)
    for (const [blob, text] of contentsOf(bytes)) {
      const objects = mayHoldVolumes.test(text) ? volumesAndClaims(text) : []
      if (objects.length > 0) found.set(blob, objects)
    }
  }
  return found
}

/** `git cat-file --batch`: `HASH blob SIZE`, a line feed, that many bytes, a line feed. */
function* contentsOf(bytes: Buffer): Generator<[blob: string, text: string]> {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at)
    const [blob = '', , size] = bytes.toString('latin1', at, end).split(' ')
    const from = end + 1
    const to = from + Number(size ?? 0)
    if (size !== undefined) yield [blob, bytes.toString('utf8', from, to)]
    at = size === undefined ? from : to + 1
  }
}

function volumesAndClaims(text: string): KubernetesObject[] {
  const documents = parseAllDocuments(text, { ...goYaml, logLevel: 'silent' })
  return [...documents].flatMap(document => {
    // What was no YAML then (a template, a file in the middle of a conflict) says nothing.
    if (document.errors.length > 0) return []
    const value = document.toJS({ maxAliasCount: 1000 }) as KubernetesObject | null
    const items = (value?.kind === 'List' ? value.items : [value]) as (KubernetesObject | null)[]
    return items.flatMap(o =>
      (o?.kind === 'PersistentVolume' || o?.kind === 'PersistentVolumeClaim') &&
      typeof o.metadata?.name === 'string'
        ? [o]
        : [],
    )
  })
}

interface GitAnswer {
  failed: boolean
  /** Why it failed, in its own words. */
  why: string
  text: string
  bytes: Buffer
}
type Git = (args: string[], input?: string) => Promise<GitAnswer>

function gitIn(folder: string, signal: AbortSignal | undefined): Git {
  return async (args, input) => {
    const { execa } = await import('execa')
    const result = await execa('git', ['-c', 'core.quotePath=false', '--no-optional-locks', ...args], {
      cwd: folder,
      // Neither another repository that the caller's shell was in, nor blobs from elsewhere, nor anybody's configuration.
      env: { PATH: process.env.PATH, HOME: process.env.HOME, LC_ALL: 'C', GIT_NO_LAZY_FETCH: '1' },
      extendEnv: false,
      encoding: 'buffer',
      maxBuffer: 1024 ** 3,
      reject: false,
      timeout: 120_000,
      verbose: 'none',
      ...(input === undefined ? {} : { input }),
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    })
    signal?.throwIfAborted()
    const bytes = Buffer.from(result.stdout ?? new Uint8Array())
    const said = Buffer.from(result.stderr ?? new Uint8Array())
      .toString('utf8')
      .trim()
      .split('\n')
    return {
      failed: result.failed,
      why: result.code === 'ENOENT' ? 'there is no program git' : (said[0] ?? '').replace(/^fatal: /, ''),
      text: bytes.toString('utf8'),
      bytes,
    }
  }
}
