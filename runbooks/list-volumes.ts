import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import type { Strategy } from '../src/cluster/schema.ts'
import { connectSynology } from '../src/nas/synology/synology.ts'
import { toFault } from '../src/runbook/fault.ts'
import { byName, type ListedVolume, listVolumes } from '../src/volumes/listing.ts'
import { person } from '../src/volumes/map.ts'
import { readSource } from '../src/volumes/sources/named-source.ts'
import type { VolumeSource } from '../src/volumes/sources/volume-source.ts'
import { inEarnest } from './in-earnest.ts'
import { clusterFileIn } from './rehearse.ts'

/** A volume of the map, with what the person's files want of it. */
export interface VolumeRow extends ListedVolume {
  /** Absent where Git has no such claim. */
  strategy?: Strategy
  /** One sentence: what a recovery would do with it. */
  says: string
}

export interface VolumesListed {
  volumes: VolumeRow[]
  /** LUNs of the NAS that no source gives to a claim; absent when the NAS was not asked. */
  ownerless?: { lun: string; name: string; sizeBytes: number }[]
  /** What was read, and what a person should know of how. */
  sources: { name: string; volumes: number; remarks: string[] }[]
}

export interface VolumesQuestion {
  /** recover.yaml or its folder; where there is none, only the named sources are read. */
  where: string
  /** `KIND:PATH`, as {@link readSource} takes them. */
  from: string[]
  /** Do not ask the NAS. */
  offline: boolean
  now: AbortSignal
}

/** Puts together what every source says of which claim was which LUN. Reads only. */
export async function listVolumesFrom(question: VolumesQuestion): Promise<VolumesListed> {
  const named: VolumeSource[] = []
  for (const from of question.from) named.push(await readSource(from))
  const file =
    existsSync(join(question.where, 'recover.yaml')) || question.from.length === 0 || !isFolder(question)
  const cluster = file ? loadCluster(clusterFileIn(question.where)) : undefined
  const nas = cluster && !question.offline ? await askNas(cluster, question.now) : undefined
  const sources = [
    ...(cluster ? [settled(cluster), inGit(cluster)] : []),
    ...(nas ? [nas.source] : []),
    ...named,
  ].filter(s => s.testimonies.length > 0 || s.remarks.length > 0)
  const volumes = listVolumes(sources)
  const wanted = cluster?.inventory.claims ?? []
  // A claim that no source knows anything of is what a person must hear of first.
  const silent = wanted
    .filter(c => !volumes.some(v => v.claim === c.id))
    .map((c): ListedVolume => ({ claim: c.id, luns: [], contradiction: false, deletedIn: [] }))
  const rows = [...volumes, ...silent].map((volume): VolumeRow => {
    const claim = wanted.find(c => c.id === volume.claim)
    const strategy = claim && cluster?.strategy(claim.id)
    const size = volume.sizeBytes ?? claim?.sizeBytes
    return {
      ...volume,
      ...(size === undefined ? {} : { sizeBytes: size }),
      ...(volume.owner === undefined && claim?.owners[0] !== undefined ? { owner: claim.owners[0] } : {}),
      ...(strategy === undefined ? {} : { strategy }),
      says: saysOf(volume, strategy, cluster !== undefined),
    }
  })
  const owned = new Set(volumes.flatMap(v => v.luns.map(l => l.lun)))
  return {
    volumes: rows.sort(byName),
    ...(nas
      ? {
          ownerless: nas.luns
            .filter(l => !owned.has(l.uuid))
            .map(l => ({ lun: l.uuid, name: l.name, sizeBytes: l.sizeBytes })),
        }
      : {}),
    sources: sources.map(s => ({ name: s.name, volumes: s.testimonies.length, remarks: s.remarks })),
  }
}

function isFolder({ where }: VolumesQuestion): boolean {
  return !/\.ya?ml$/.test(where)
}

function settled(cluster: Cluster): VolumeSource {
  const testimonies = Object.entries(cluster.entry.luns ?? {}).map(([claim, lun]) => ({
    source: person,
    claim,
    lun,
  }))
  return { name: person, testimonies, remarks: [] }
}

function inGit({ inventory }: Cluster): VolumeSource {
  return {
    name: 'git',
    remarks: [],
    testimonies: inventory.volumes.flatMap(v =>
      v.claim === undefined || v.path !== undefined
        ? []
        : [{ source: 'git', claim: v.claim, lun: v.handle, volume: v.name, driver: v.driver }],
    ),
  }
}

async function askNas(cluster: Cluster, signal: AbortSignal) {
  const where = await inEarnest(cluster, { run: 'plan', path: '', journal: '' })
  const nas = connectSynology({ ...where.nas, signal, pace: where.pace })
  try {
    const luns = await nas.reader.luns()
    const testimonies = luns.flatMap(l =>
      // Where the driver was not told to write it, the name of the LUN still says which PersistentVolume it was.
      [
        {
          source: 'nas',
          claim: /^[^/\s]+\/[^/\s]+$/.test(l.description) ? l.description : '',
          lun: l.uuid,
          volume: l.name.replace(/^k8s-csi-/, ''),
          sizeBytes: l.sizeBytes,
        },
      ].filter(t => t.claim !== '' || l.name.startsWith('k8s-csi-pvc-')),
    )
    return { luns, source: { name: 'nas', testimonies, remarks: [] } satisfies VolumeSource }
  } catch (thrown) {
    const { message } = toFault(thrown, 'volumes list')
    return {
      luns: [],
      source: { name: 'nas', testimonies: [], remarks: [`not asked: ${message}`] } satisfies VolumeSource,
    }
  } finally {
    await nas.close()
  }
}

function saysOf(volume: ListedVolume, strategy: Strategy | undefined, known: boolean): string {
  const { luns, contradiction, deletedIn } = volume
  if (contradiction)
    return `sources disagree; say which is right in recover.yaml: \`luns: { ${volume.claim}: UUID }\``
  if (volume.claim === undefined) return 'no source says whose claim it was'
  if (strategy === 'new') return 'begins empty, as told'
  if (luns.length === 0)
    return 'no source says which LUN it is on; add a PersistentVolume to Git, or say `new` in recover.yaml'
  if (deletedIn.length > 0 && luns[0]?.sources.every(s => deletedIn.includes(s)))
    return 'was deleted or left by its claim before the end; its LUN may be gone'
  if (!known) return ''
  if (strategy === undefined) return 'Git has no such claim: nothing would be done with it'
  const sure = (luns[0]?.sources.length ?? 0) > 1 || luns[0]?.sources[0] === person
  return `${strategy}${sure ? '' : '; only one source says so'}`
}
