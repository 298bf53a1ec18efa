import { existsSync, statSync } from 'node:fs'
import { type Inventory, readInventory } from '../src/cluster/inventory.ts'
import type { Cluster } from '../src/cluster/load.ts'
import { connectApi } from '../src/kubernetes/api.ts'
import type { NasReader } from '../src/nas/nas.ts'
import { Fault, toFault } from '../src/runbook/fault.ts'
import { protocolOf } from '../src/volumes/protocol.ts'
import { readGitHistory } from '../src/volumes/sources/git-history.ts'
import { resolveTargets } from '../src/volumes/sources/iscsi-records.ts'
import { readCluster } from '../src/volumes/sources/living-cluster.ts'
import { readSource, sourceKinds } from '../src/volumes/sources/named-source.ts'
import { readNasListing } from '../src/volumes/sources/nas-listing.ts'
import { person, type VolumeSource } from '../src/volumes/sources/volume-source.ts'
import { readRun } from './former-runs.ts'

/** Everything that the volume map goes by of a NAS, at one moment. */
export interface NasNow {
  luns: Awaited<ReturnType<NasReader['luns']>>
  targets: Awaited<ReturnType<NasReader['targets']>>
  shares: Awaited<ReturnType<NasReader['shares']>>
}

/** Asks the NAS for everything that the volume map goes by. */
export async function nasNow(nas: NasReader): Promise<NasNow> {
  const [luns, targets, shares] = [await nas.luns(), await nas.targets(), await nas.shares()]
  return { luns, targets, shares }
}

/** What the NAS says, as a source. */
export function fromNas(now: NasNow): VolumeSource {
  return readNasListing('nas', now)
}

/** Records of initiators name targets; only the NAS knows which LUN each leads to. */
export function resolved(sources: readonly VolumeSource[], now: NasNow | undefined): VolumeSource[] {
  return now === undefined ? [...sources] : sources.map(s => resolveTargets(s, now.targets))
}

/** What the person's repository says now, and what it said in former commits. */
export function fromGit(cluster: Cluster, signal: AbortSignal): Promise<VolumeSource> {
  const folder = cluster.resolve(cluster.entry.gitops.repository)
  return fromRepository('git', folder, cluster.inventory, signal)
}

/** What the person settled in recover.yaml. */
export function settled({ entry }: Cluster): VolumeSource {
  const testimonies = Object.entries(entry.luns ?? {}).map(([claim, lun]) => ({
    source: person,
    claim,
    lun,
  }))
  return { name: person, testimonies, remarks: [] }
}

async function fromRepository(
  name: string,
  folder: string,
  { volumes, claims }: Pick<Inventory, 'volumes' | 'claims'>,
  signal: AbortSignal,
): Promise<VolumeSource> {
  const claimOf = new Map(claims.map(c => [c.id, c]))
  const naming = new Map(claims.map(c => [c.volume, c.id]))
  const testimonies = volumes.flatMap(v => {
    // A volume that names no claim is that of the claim that names it.
    const claim = v.claim ?? naming.get(v.name)
    if (claim === undefined || v.path !== undefined || v.handle === '') return []
    const owner = claimOf.get(claim)?.owners[0]
    const protocol = protocolOf(v.attributes)
    return [
      {
        source: name,
        claim,
        lun: v.handle,
        volume: v.name,
        where: v.at,
        ...(v.driver === '' ? {} : { driver: v.driver }),
        ...(protocol === undefined ? {} : { protocol }),
        ...(v.fsType === undefined ? {} : { fsType: v.fsType }),
        ...(owner === undefined ? {} : { owner }),
      },
    ]
  })
  const living = { claims: claims.map(c => c.id), volumes: testimonies }
  const history = await readGitHistory(name, folder, living, signal)
  return { ...history, testimonies: [...testimonies, ...history.testimonies] }
}

/** Sources of the map that a person may name: those that are files, and those that must be asked. */
export const nameableSources = {
  ...sourceKinds,
  git: 'a GitOps repository, with its history',
  kubeconfig: 'a cluster whose API still answers, by its kubeconfig',
  run: 'the folder of an earlier run, whose journal keeps what it was told and what it bound',
} as const

/**
 * Reads a source that was named as `KIND:PATH`. Throws Fault `source-unknown`, `source-missing`, `database-damaged`, and
 * what a cluster's API refuses.
 */
export async function readNamed(named: string, signal: AbortSignal): Promise<VolumeSource> {
  const [kind = ''] = named.split(':')
  const path = named.slice(kind.length + 1)
  if (!(kind in nameableSources) || path === '')
    throw new Fault({
      code: 'source-unknown',
      blame: 'operator',
      message: `${named} names no source of the volume map`,
      remedy: `Write nas, or KIND:PATH, where KIND is ${Object.entries(nameableSources)
        .map(([name, what]) => `${name} (${what})`)
        .join(', ')}`,
    })
  if (!existsSync(path))
    throw new Fault({
      code: 'source-missing',
      blame: 'operator',
      message: `there is nothing at ${path}, which --from ${named} names`,
      remedy: 'Copy it from the machine first, or correct the path',
    })
  if (kind === 'git' && statSync(path).isDirectory())
    return fromRepository(named, path, readInventory(path), signal)
  if (kind === 'run') return readRun(named, path)
  if (kind !== 'kubeconfig') return readSource(kind as keyof typeof sourceKinds, named, path)
  const api = connectApi({ kubeconfig: path, signal })
  try {
    return await readCluster(named, api.reader)
  } finally {
    await api.close()
  }
}

/** Name of the source that the archive is from which the control plane is restored; undefined where it is not. */
export function restoredFrom({ evidence, restore }: Cluster): string | undefined {
  return evidence.find(e => e.kind === 'backup' && e.path === restore?.file)?.named
}

/** The sources that recover.yaml names beside Git and the NAS. One that cannot be read says so. */
export async function furtherSources(cluster: Cluster, signal: AbortSignal): Promise<VolumeSource[]> {
  const sources: VolumeSource[] = []
  for (const { kind, path, named } of cluster.evidence)
    try {
      sources.push({ ...(await readNamed(`${kind}:${path}`, signal)), name: named })
    } catch (thrown) {
      sources.push(unread(named, thrown))
    }
  return sources
}

/** A source that was not read, and why. */
export function unread(name: string, thrown: unknown): VolumeSource {
  return { name, testimonies: [], remarks: [`not read: ${toFault(thrown, 'reading a source').message}`] }
}
