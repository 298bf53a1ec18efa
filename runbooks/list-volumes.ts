import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import type { Strategy } from '../src/cluster/schema.ts'
import { statedClaim, statedClass } from '../src/cluster/stated.ts'
import { mayWrite } from '../src/nas/nas.ts'
import { byName, type ListedVolume, listVolumes } from '../src/volumes/listing.ts'
import { ownedIn, possibleOnShare } from '../src/volumes/map.ts'
import { isShare, type Protocol, protocolOf } from '../src/volumes/protocol.ts'
import type { VolumeSource } from '../src/volumes/sources/volume-source.ts'
import { clusterFileIn } from './cluster-file.ts'
import { connectNas } from './connect-nas.ts'
import { shareRemedy } from './evidence/map-volumes.ts'
import { inEarnest } from './in-earnest.ts'
import {
  fromGit,
  fromNas,
  furtherSources,
  type NasNow,
  nasNow,
  readNamed,
  resolved,
  settled,
  unread,
} from './volume-sources.ts'

/** A volume of the map, with what the person's files want of it. */
export interface VolumeRow extends ListedVolume {
  /** Absent where Git has no such claim. */
  strategy?: Strategy
  /** What to answer before anything is written; absent when nothing is open. */
  question?: string
  /** Of a share that is on the NAS, who may write to it by NFS, as its rules say. Who has it mounted no NAS tells. */
  mayWrite?: string[]
  /** One sentence: what a recovery would do with it. */
  says: string
}

/** A LUN or share of the NAS that no claim has. */
export interface Ownerless {
  lun: string
  name: string
  kind: 'lun' | 'share'
  protocol: Protocol
  sizeBytes: number
  usedBytes?: number
  description: string
  /** Claims that had it once, by what was deleted since. */
  formerly: { claim: string; source: string; where?: string }[]
}

export interface VolumesListed {
  volumes: VolumeRow[]
  /** LUNs and shares of the NAS that no source gives to a claim; absent when the NAS was not asked. */
  ownerless?: Ownerless[]
  /** What was read, and what a person should know of how. */
  sources: { name: string; volumes: number; remarks: string[] }[]
}

export interface VolumesQuestion {
  /** recover.yaml or its folder; where there is none, only the named sources are read. */
  where: string
  /** `nas`, or `KIND:PATH` as {@link readNamed} takes them. With any, nothing else is read but what recover.yaml settles. */
  from: string[]
  /** Do not ask the NAS. */
  offline: boolean
  now: AbortSignal
}

/** Puts together what every source says of which claim was which LUN. Reads only. */
export async function listVolumesFrom(question: VolumesQuestion): Promise<VolumesListed> {
  const { from, now } = question
  const named: VolumeSource[] = []
  for (const source of from.filter(f => f !== 'nas')) named.push(await readNamed(source, now))
  const alone = from.length > 0 && !from.includes('nas')
  const file = existsSync(join(question.where, 'recover.yaml')) || !alone || !isFolder(question)
  const cluster = file ? loadCluster(clusterFileIn(question.where)) : undefined
  const nas = cluster && !question.offline && !alone ? await askNas(cluster, now) : undefined
  const sources = resolved(
    [
      // What the person settled always counts; Git only where no other source was named.
      ...(cluster ? [settled(cluster)] : []),
      ...(cluster && from.length === 0 ? [await fromGit(cluster, now)] : []),
      ...(nas ? [nas.source] : []),
      ...(from.length === 0 && cluster ? await furtherSources(cluster, now) : []),
      ...named,
    ],
    nas?.now,
  ).filter(s => s.testimonies.length > 0 || s.remarks.length > 0)
  const onNas = nas?.now && new Set([...nas.now.luns, ...nas.now.shares].map(d => d.uuid))
  const all = listVolumes(sources, onNas)
  // What only the NAS has is told among what no claim owns.
  const volumes = all.filter(v => v.claim !== undefined || !v.luns.every(l => onNas?.has(l.lun)))
  const wanted = cluster?.inventory.claims ?? []
  // A claim that no source knows anything of is what a person must hear of first.
  const known = new Set(volumes.map(v => v.claim))
  const silent = wanted
    .filter(c => !known.has(c.id))
    .map((c): ListedVolume => ({ claim: c.id, luns: [], formerly: [], verdict: 'no-lun', doubts: [] }))
  const rows = [...volumes, ...silent].map(volume => rowOf(volume, cluster, sources, nas?.now))
  return {
    volumes: rows.sort(byName),
    ...(nas?.now ? { ownerless: ownerlessOf(nas.now, all, sources) } : {}),
    sources: sources.map(s => ({
      name: s.name,
      volumes: s.testimonies.filter(t => !t.deleted).length,
      remarks: s.remarks,
    })),
  }
}

function isFolder({ where }: VolumesQuestion): boolean {
  return !/\.ya?ml$/.test(where)
}

async function askNas(
  cluster: Cluster,
  signal: AbortSignal,
): Promise<{ source: VolumeSource; now?: NasNow }> {
  const where = await inEarnest(cluster, { run: 'plan', path: '', journal: '' })
  const nas = connectNas(where.nas, signal, where.pace)
  try {
    const now = await nasNow(nas.reader)
    return { source: fromNas(now), now }
  } catch (thrown) {
    signal.throwIfAborted()
    return { source: unread('nas', thrown) }
  } finally {
    await nas.close()
  }
}

function rowOf(
  volume: ListedVolume,
  cluster: Cluster | undefined,
  sources: readonly VolumeSource[],
  now: NasNow | undefined,
): VolumeRow {
  const claim = cluster && statedClaim(cluster.inventory, volume.claim)
  const strategy = claim && cluster?.strategy(claim.id)
  const size = volume.sizeBytes ?? claim?.sizeBytes
  const removed = sources
    .flatMap(s => s.formerClaims ?? [])
    .find(f => f.claim === volume.claim && claim === undefined)
  // Of one that no source knows anything of, its class says what it was.
  const named = claim && cluster && statedClass(cluster.inventory, claim.storageClass)
  const protocol = volume.protocol ?? protocolOf(named?.parameters)
  const told = { ...volume, ...(protocol === undefined ? {} : { protocol }) }
  const share = now?.shares.find(s => s.uuid === volume.luns[0]?.lun)
  const { says, question } = saysOf(told, strategy, cluster !== undefined, removed?.where)
  return {
    ...told,
    ...(size === undefined ? {} : { sizeBytes: size }),
    ...(claim?.owners[0] === undefined ? {} : { owner: claim.owners[0] }),
    ...(strategy === undefined ? {} : { strategy }),
    ...(share?.protocol === 'nfs' ? { mayWrite: mayWrite(share) } : {}),
    ...(question === undefined ? {} : { question }),
    says,
  }
}

function saysOf(
  { claim, luns, formerly, verdict, doubts, protocol }: ListedVolume,
  strategy: Strategy | undefined,
  known: boolean,
  removed: string | undefined,
): { says: string; question?: string } {
  if (verdict === 'no-claim') return { says: 'no source says whose claim it was' }
  if (strategy === 'new' && isShare(protocol) && luns[0]?.sources.includes('git'))
    return { says: 'is left to Git, whose PersistentVolume leads to its share' }
  if (strategy === 'new' && luns[0]?.sources.includes('git'))
    return {
      says: `nothing: it is to begin empty, and Git gives it ${luns[0].lun}`,
      question: `Does ${claim} begin empty? Then take its PersistentVolume out of Git; if its data is wanted, say \`adopt\` for it in recover.yaml (volumes)`,
    }
  if (strategy === 'new') return { says: 'begins empty, as told' }
  if (strategy === 'restore') return { says: 'is restored from its backup, as told' }
  const share = isShare(protocol)
  const kind = share ? 'share' : 'LUN'
  const settle = `answer in recover.yaml: \`luns: { ${claim}: UUID }\``
  const once = formerly
    .map(f => `${f.lun} until ${f.where ?? `it was deleted or left by its claim (${f.source})`}`)
    .join('; ')
  if (verdict === 'no-lun')
    return {
      says: once === '' ? `no source says which ${kind} it is on` : `no ${kind} any more; it was on ${once}`,
      ...(strategy === undefined
        ? {}
        : {
            question: `Which ${kind} holds the data of ${claim}? Add a PersistentVolume to Git, or ${settle}; or say \`${claim}: new\` under volumes if it may begin empty`,
          }),
    }
  if (verdict === 'contradiction')
    return {
      says: `sources disagree: ${doubts.join('; ')}`,
      question: `Which ${kind} holds the data of ${claim}? Find out, and ${settle}`,
    }
  if (!known) return { says: doubts.join('; ') }
  if (strategy === undefined)
    return {
      says:
        removed === undefined
          ? 'Git has no such claim: nothing would be done with it'
          : `nothing would be done with it: ${removed}`,
    }
  if (verdict === 'settled' && share && !possibleOnShare(strategy, protocol))
    return {
      says: `nothing: a shared folder cannot come back by ${strategy}`,
      question: `How is ${claim} to come back? ${shareRemedy}`,
    }
  if (verdict === 'settled') return { says: strategy }
  return {
    says: doubts.join('; '),
    question: `Is ${luns[0]?.lun} the ${kind} of ${claim}? Name a second source, or ${settle.replace('UUID', luns[0]?.lun ?? 'UUID')}`,
  }
}

function ownerlessOf(
  now: NasNow,
  rows: readonly ListedVolume[],
  sources: readonly VolumeSource[],
): Ownerless[] {
  const owned = ownedIn(rows)
  const deleted = sources.flatMap(s => s.testimonies.filter(t => t.deleted && t.claim !== ''))
  return [
    ...now.luns.map(l => ({ ...l, kind: 'lun' as const, protocol: 'iscsi' as const })),
    // Of shared folders only those of the CSI driver are volumes.
    ...now.shares.filter(s => s.name.startsWith('k8s-csi')).map(s => ({ ...s, kind: 'share' as const })),
  ]
    .filter(disk => !owned.has(disk.uuid))
    .map(({ uuid, name, kind, protocol, sizeBytes, description, ...disk }) => ({
      lun: uuid,
      name,
      kind,
      protocol,
      sizeBytes,
      ...('usedBytes' in disk && disk.usedBytes !== undefined ? { usedBytes: disk.usedBytes } : {}),
      description,
      formerly: deleted
        .filter(t => t.lun === uuid)
        .map(({ claim, source, where }) => ({ claim, source, ...(where === undefined ? {} : { where }) })),
    }))
}
