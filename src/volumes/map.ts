import { z } from 'zod'
import { type ListedVolume, listVolumes } from './listing.ts'
import type { Protocol } from './protocol.ts'
import type { VolumeSource } from './sources/volume-source.ts'

/** Where a claim's data is, and how sure that is. */
export const mappedVolume = z.strictObject({
  /** `namespace/name`. */
  claim: z.string(),
  strategy: z.enum(['adopt', 'clone', 'copy', 'host-copy', 'restore', 'new']),
  sizeBytes: z.number(),
  storageClass: z.string(),
  /** File system that is on its LUN, where a source says so; a class of today may make another. */
  fsType: z.string().optional(),
  /** The disk that holds its data; absent for one that is restored or begins empty. */
  lun: z
    .strictObject({ uuid: z.string(), name: z.string(), sizeBytes: z.number(), target: z.number() })
    .optional(),
  /** The shared folder that holds its data, reached by NFS; at most one of this and a LUN. */
  share: z
    .strictObject({ uuid: z.string(), name: z.string(), sizeBytes: z.number(), location: z.string() })
    .optional(),
  /** The share that a PersistentVolume in Git leads a claim to that this run leaves alone (`new`). */
  leftToGit: z.string().optional(),
  /** Sources that agree on it: `git`, `nas`; `recover.yaml` where the person has settled it. */
  sources: z.array(z.string()),
})

export type MappedVolume = z.infer<typeof mappedVolume>

/** A claim as some source wants it. */
export interface WantedClaim {
  id: string
  sizeBytes: number
  storageClass: string | undefined
  strategy: MappedVolume['strategy']
}

export interface KnownLun {
  uuid: string
  name: string
  sizeBytes: number
  /** Targets that it is mapped to. */
  targets: number[]
}

export interface KnownShare {
  uuid: string
  name: string
  /** Its quota; 0 where it has none. */
  sizeBytes: number
  /** Where on the NAS: `/volume1`. */
  location: string
}

/** The LUN or share that holds a claim's data; undefined for one that is restored or begins empty. */
export function diskHolding({ lun, share }: MappedVolume): { uuid: string; name: string } | undefined {
  return lun ?? share
}

/** The map, and everything about it that a person must hear before anything is written. */
export interface VolumeMap {
  volumes: MappedVolume[]
  /** Claims of which the sources contradict each other, or of which only one knows anything: never written to. */
  open: ListedVolume[]
  /** Claims whose data is on a shared folder from which they cannot come back by their strategy. */
  onShares: {
    claim: string
    strategy: MappedVolume['strategy']
    protocol: Protocol | undefined
    share: KnownShare
  }[]
  /** Claims that are told to begin empty, and that a PersistentVolume in Git would bind to a LUN with data, fenced by nobody. */
  boundByGit: { claim: string; lun: KnownLun }[]
  /** Claims that need their data and for which no source names a disk. */
  homeless: string[]
  /** LUNs, and shares of the CSI driver, that no claim owns. */
  ownerless: { uuid: string; name: string }[]
}

/**
 * Puts the sources together for the claims that come back. Nothing is guessed: what {@link listVolumes} does not find
 * settled stays open until the person says which LUN it is.
 */
export function mapVolumes(
  claims: readonly WantedClaim[],
  sources: readonly VolumeSource[],
  luns: readonly KnownLun[],
  /** Shares of the NAS, which are there and are no LUNs. */
  shares: readonly KnownShare[] = [],
): VolumeMap {
  const map: VolumeMap = { volumes: [], open: [], onShares: [], boundByGit: [], homeless: [], ownerless: [] }
  const rows = listVolumes(sources, new Set([...luns, ...shares].map(d => d.uuid)))
  const rowOf = new Map(rows.map(r => [r.claim, r]))
  const lunOf = new Map(luns.map(l => [l.uuid, l]))
  const fsTypeOf = new Map(
    sources.flatMap(s => s.testimonies.flatMap(t => (t.fsType === undefined ? [] : [[t.lun, t.fsType]]))),
  )
  const shareOf = new Map(shares.map(s => [s.uuid, s]))
  for (const claim of claims) {
    const row = rowOf.get(claim.id)
    const common = {
      claim: claim.id,
      strategy: claim.strategy,
      sizeBytes: claim.sizeBytes,
      storageClass: claim.storageClass ?? '',
    }
    const [named] = row?.luns ?? []
    const lun = named && lunOf.get(named.lun)
    const share = named && shareOf.get(named.lun)
    if (claim.strategy === 'new' && share && named.sources.includes('git'))
      map.volumes.push({ ...common, leftToGit: share.name, sources: [] })
    else if (claim.strategy === 'new' && lun && named.sources.includes('git'))
      map.boundByGit.push({ claim: claim.id, lun })
    else if (claim.strategy === 'new' || claim.strategy === 'restore')
      map.volumes.push({ ...common, sources: [] })
    else if (row?.verdict === 'contradiction' || row?.verdict === 'one-source') map.open.push(row)
    else if (share && !possibleOnShare(claim.strategy, row?.protocol))
      map.onShares.push({ claim: claim.id, strategy: claim.strategy, protocol: row?.protocol, share })
    else if (named && share)
      map.volumes.push({
        ...common,
        share: {
          uuid: share.uuid,
          name: share.name,
          // One without a quota has room for whatever the claim asks for.
          sizeBytes: share.sizeBytes || claim.sizeBytes,
          location: share.location,
        },
        sources: [...named.sources].sort(),
      })
    else if (!named || !lun) map.homeless.push(claim.id)
    else
      map.volumes.push({
        ...common,
        ...(fsTypeOf.has(lun.uuid) ? { fsType: fsTypeOf.get(lun.uuid) } : {}),
        lun: { uuid: lun.uuid, name: lun.name, sizeBytes: lun.sizeBytes, target: lun.targets[0] ?? 0 },
        sources: [...named.sources].sort(),
      })
  }
  const owned = ownedIn(rows)
  map.ownerless = [...luns, ...shares.filter(s => s.name.startsWith('k8s-csi'))]
    .filter(l => !owned.has(l.uuid) && !l.name.startsWith('k8s-csi-recover-'))
    .map(({ uuid, name }) => ({ uuid, name }))
  return map
}

/**
 * Whether a claim can come back from a shared folder by a strategy. What does not touch what held its data always can; of
 * SMB nothing else, which wants an account for each mount and whose users nothing here keeps out; and a machine copies by
 * iSCSI alone.
 */
export function possibleOnShare(strategy: MappedVolume['strategy'], protocol: Protocol | undefined): boolean {
  if (strategy === 'new' || strategy === 'restore') return true
  return protocol === 'nfs' && strategy !== 'host-copy'
}

/** The LUNs and shares that some claim has now, by any source. */
export function ownedIn(rows: readonly ListedVolume[]): ReadonlySet<string> {
  return new Set(rows.filter(r => r.claim !== undefined).flatMap(r => r.luns.map(l => l.lun)))
}
