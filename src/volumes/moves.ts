import { parseSize } from '../cluster/size.ts'
import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import type { MappedVolume } from './map.ts'
import { isShare, protocolOf } from './protocol.ts'
import { type ListedShare, shareUnfitness } from './static-volume.ts'

/** A claim as a living cluster has it. */
export interface LivingClaim {
  uid: string
  /** Its PersistentVolume; absent while it is not bound. */
  pv?: KubernetesObject
  sizeBytes: number
  storageClass: string
  accessModes: string[]
  block: boolean
  /** Who made it and deletes it: `Cluster main`; absent where nobody but the person does. */
  keeper?: string
}

/** A claim as Git wants it. */
export interface WantedVolume {
  id: string
  sizeBytes: number
  storageClass: string | undefined
  accessModes: readonly string[]
  strategy: MappedVolume['strategy']
  /** Whether its class makes shared folders, and no LUNs; undefined where Git does not say what the class makes. */
  onShare?: boolean | undefined
}

/** What the NAS has of the disk that a claim's volume leads to; neither where it has none of that uuid. */
export interface DiskNow {
  lun?: object | undefined
  share?: (ListedShare & { protocol: string }) | undefined
}

/** What would be done with a claim. */
export interface Verdict {
  move: boolean
  /** How the claim of the cluster differs from Git's. */
  differs: string[]
  /** One sentence for a person. */
  says: string
  /** Why it cannot be moved, for a claim that is to be. */
  obstacle?: string
}

/**
 * Reads a claim and its volume as the cluster lists them.
 * @param pvs PersistentVolumes by name
 */
export function livingClaim(
  claim: KubernetesObject,
  pvs: ReadonlyMap<string | undefined, KubernetesObject>,
): LivingClaim {
  const spec = (claim.spec ?? {}) as {
    volumeName?: string
    storageClassName?: string
    accessModes?: string[]
    volumeMode?: string
    resources?: { requests?: { storage?: string } }
  }
  const status = (claim.status ?? {}) as { phase?: string; capacity?: { storage?: string } }
  const pv = status.phase === 'Bound' ? pvs.get(spec.volumeName) : undefined
  const size = status.capacity?.storage ?? spec.resources?.requests?.storage ?? '0'
  const owners = (claim.metadata.ownerReferences ?? []) as { kind: string; name: string }[]
  const keeper = owners.find(o => o.kind !== 'StatefulSet')
  return {
    uid: claim.metadata.uid ?? '',
    ...(pv ? { pv } : {}),
    sizeBytes: parseSize(size, claim.metadata.name ?? ''),
    storageClass: spec.storageClassName ?? '',
    accessModes: spec.accessModes ?? [],
    block: spec.volumeMode === 'Block',
    ...(keeper ? { keeper: `${keeper.kind} ${keeper.name}` } : {}),
  }
}

/**
 * Whether a claim is moved: what a person has named is, and of the rest what differs from Git in a way that no living
 * claim can be changed to (class, access modes, a smaller size), as far as recover.yaml says copy or clone for it.
 * @param disk what the NAS has of its disk
 */
export function judgeMove(
  wanted: WantedVolume,
  live: LivingClaim | undefined,
  { named, any, disk }: { named: boolean; any: boolean; disk: DiskNow },
): Verdict {
  if (!live) return stays([], 'is not in the cluster', named)
  const differs = differences(wanted, live)
  const obstacle = obstacleOf(wanted, live, disk)
  const wants = named || (!any && differs.length > 0)
  const how = wanted.strategy
  if (how !== 'copy' && how !== 'clone')
    return stays(
      differs,
      differs.length === 0
        ? `stays where it is (${how})`
        : `stays where it is, though ${differs.join(', ')}: recover.yaml says ${how} for it, not copy`,
      named,
    )
  if (!wants)
    return stays(
      differs,
      differs.length > 0 ? `${differs.join(', ')}; it was not named` : 'is as Git wants it',
      false,
    )
  if (obstacle !== undefined)
    return { move: false, differs, says: `${obstacle}; it stays where it is`, obstacle }
  const why = differs.length > 0 ? differs.join(', ') : 'you named it'
  return {
    move: true,
    differs,
    says: how === 'copy' ? `is copied to a new disk: ${why}` : `gets a clone of its disk: ${why}`,
  }
}

/** What keeps a claim from being moved at all, as the end of a sentence. */
function obstacleOf(wanted: WantedVolume, live: LivingClaim, disk: DiskNow): string | undefined {
  if (!live.pv) return 'is not bound to a volume'
  if (live.block) return 'is a block device: there are no files to compare'
  if (live.keeper !== undefined)
    return `is kept by ${live.keeper}, which makes a claim that goes anew by itself`
  if (!disk.lun && !disk.share)
    return 'is on no LUN and no shared folder of this NAS, so that it cannot be snapshot and cloned'
  if (wanted.strategy === 'clone' && wanted.onShare !== undefined && wanted.onShare !== Boolean(disk.share))
    return `is on a ${disk.share ? 'shared folder' : 'LUN'}, a clone of which is one again, and its class makes ${disk.share ? 'LUNs' : 'shared folders'}: say copy for it in recover.yaml`
  return disk.share && unfitShare(live.pv, disk.share)
}

function unfitShare(pv: KubernetesObject, share: NonNullable<DiskNow['share']>): string | undefined {
  const attributes = attributesOf(pv)
  if (protocolOf(attributes) !== 'nfs' || share.protocol !== 'nfs')
    return `is on the shared folder ${share.name} by ${isShare(protocolOf(attributes)) ? 'SMB' : 'no protocol that its PersistentVolume names'}, and only those of NFS can be fenced and mounted from here: it can stay where it is, or its files can be copied by hand to a claim of another name`
  const unfit = shareUnfitness(share, attributes, `its PersistentVolume ${pv.metadata.name}`)
  return unfit.length === 0
    ? undefined
    : `is on the shared folder ${share.name}, from which it cannot be moved: ${unfit.join('; ')}`
}

/** What a PersistentVolume tells the CSI driver beside the handle. */
export function attributesOf(pv: KubernetesObject | undefined): Record<string, string> {
  return (
    (pv?.spec as { csi?: { volumeAttributes?: Record<string, string> } } | undefined)?.csi
      ?.volumeAttributes ?? {}
  )
}

function stays(differs: string[], says: string, named: boolean): Verdict {
  return { move: false, differs, says, ...(named ? { obstacle: says } : {}) }
}

/** Where a PersistentVolume leads: the uuid of a LUN or a share. */
export function handleOf(pv: KubernetesObject | undefined): string | undefined {
  return (pv?.spec as { csi?: { volumeHandle?: string } } | undefined)?.csi?.volumeHandle
}

function differences(wanted: WantedVolume, live: LivingClaim): string[] {
  const { storageClass } = wanted
  return [
    ...(storageClass !== undefined && storageClass !== live.storageClass
      ? [`Git wants the class ${storageClass || '(none)'}, it has ${live.storageClass || '(none)'}`]
      : []),
    ...(wanted.sizeBytes < live.sizeBytes
      ? [`Git wants ${gib(wanted.sizeBytes)}, it has ${gib(live.sizeBytes)}`]
      : []),
    ...(wanted.accessModes.length > 0 &&
    [...wanted.accessModes].sort().join() !== [...live.accessModes].sort().join()
      ? [`Git wants ${wanted.accessModes.join(' and ')}, it has ${live.accessModes.join(' and ')}`]
      : []),
  ]
}

function gib(bytes: number): string {
  return `${Math.round((bytes / 2 ** 30) * 100) / 100} GiB`
}

/** Claims that share a workload, directly or by others: they stop and start together. Each group by its first claim. */
export function together(users: ReadonlyMap<string, readonly string[]>): string[][] {
  type Group = { claims: string[]; workloads: Set<string> }
  const groups = new Set<Group>()
  const groupOf = new Map<string, Group>()
  for (const [claim, own] of users) {
    const touching = [...new Set(own.flatMap(workload => groupOf.get(workload) ?? []))]
    const merged = {
      claims: [...touching.flatMap(g => g.claims), claim],
      workloads: new Set([...touching.flatMap(g => [...g.workloads]), ...own]),
    }
    for (const gone of touching) groups.delete(gone)
    groups.add(merged)
    for (const workload of merged.workloads) groupOf.set(workload, merged)
  }
  return [...groups].map(g => g.claims.sort()).sort((a, b) => (a[0] ?? '').localeCompare(b[0] ?? ''))
}

/** Labels and annotations of a claim that its successor must have, too; what Kubernetes notes on it is left out. */
export function heritage({ labels = {}, annotations = {} }: KubernetesObject['metadata']): {
  labels: Record<string, string>
  annotations: Record<string, string>
} {
  const noted = /^(pv\.kubernetes\.io|volume(\.beta)?\.kubernetes\.io|kubectl\.kubernetes\.io|recover\.dev)\//
  const kept = (all: Record<string, string>) =>
    Object.fromEntries(Object.entries(all).filter(([key]) => !noted.test(key)))
  return { labels: kept(labels), annotations: kept(annotations) }
}
