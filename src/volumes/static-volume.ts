import { Fault } from '../runbook/fault.ts'

/** A LUN as the NAS lists it, as far as a static volume goes by it. */
export interface ListedLun {
  uuid: string
  name: string
  status: string
  locked: boolean
  sizeBytes: number
}

/** A target as the NAS lists it, as far as a static volume goes by it. */
export interface ListedTarget {
  name: string
  mappings: { lun: string; index: number }[]
  authenticated: boolean
  maxSessions: number
}

/** What a claim would be bound to. */
export interface WantedVolume {
  claim: string
  lun: string
  driver: string
  accessModes: readonly string[]
}

const synology = 'csi.san.synology.com'

/**
 * Everything that keeps the CSI driver from mounting a LUN through a PersistentVolume that somebody else wrote; empty when
 * it can. From the driver's source (synology-csi 1.2.1, NodeStageVolume): it lists all targets, looks at LUNs whose name
 * begins with `k8s-csi`, takes the number of the target's first mapping whichever LUN was meant, and logs in without CHAP.
 */
export function unfitness(
  wanted: WantedVolume,
  luns: readonly ListedLun[],
  targets: readonly ListedTarget[],
): string[] {
  const lun = luns.find(l => l.uuid === wanted.lun)
  if (!lun) return [`the NAS has no LUN ${wanted.lun}`]
  const leading = targets.filter(t => t.mappings.some(m => m.lun === lun.uuid))
  const [target] = leading
  const shared = wanted.accessModes.some(mode => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany')
  return [
    ...(wanted.driver !== synology || lun.name.startsWith('k8s-csi')
      ? []
      : [`its name ${lun.name} does not begin with k8s-csi, and the driver looks at no other LUN`]),
    ...(lun.status === 'normal' ? [] : [`the NAS says that it is ${lun.status}`]),
    ...(lun.locked ? ['the NAS is still at work on it'] : []),
    ...(leading.length === 0 ? ['it is mapped to no target, so that the driver would not find it'] : []),
    ...(leading.length > 1
      ? [`it is mapped to ${leading.length} targets (${leading.map(t => t.name).join(', ')})`]
      : []),
    ...(target && target.mappings.length > 1
      ? [
          `target ${target.name} leads to ${target.mappings.length} LUNs, and the driver would mount the first, whichever it is`,
        ]
      : []),
    ...(target?.authenticated
      ? [`target ${target.name} wants a password, which the driver never gives`]
      : []),
    ...(target && !shared && target.maxSessions !== 1
      ? [
          `target ${target.name} lets ${target.maxSessions === 0 ? 'any number of' : target.maxSessions} machines in at a time, and only one may write`,
        ]
      : []),
  ]
}

/** A share as the NAS lists it, as far as a static volume goes by it. */
export interface ListedShare {
  uuid: string
  name: string
  location: string
  snapshots: boolean
}

/** What a volume's attributes must say of a share, from the driver's source: it mounts what they name, not what the handle names. */
export function shareAttributes(
  share: Pick<ListedShare, 'name' | 'location'>,
  { dsm, mountPermissions }: { dsm: string; mountPermissions: string },
): Record<string, string> {
  return {
    dsm,
    protocol: 'nfs',
    source: `//${dsm}/${share.name}`,
    baseDir: `${share.location}/${share.name}`,
    formatOptions: '',
    mountPermissions,
  }
}

/**
 * Everything that keeps the CSI driver from mounting a share through a PersistentVolume that somebody else wrote, and us from
 * a way back; empty when nothing does.
 * @param stated attributes of the PersistentVolume that leads to it, where there is one
 * @param by whose PersistentVolume that is, for the words: `the PersistentVolume in Git`
 */
export function shareUnfitness(
  share: ListedShare,
  stated: Readonly<Record<string, string>> | undefined,
  by: string,
): string[] {
  const needed = shareAttributes(share, { dsm: stated?.dsm ?? '', mountPermissions: '' })
  return [
    ...(share.name.startsWith('k8s-csi')
      ? []
      : [`its name does not begin with k8s-csi, and the driver looks at no other share`]),
    ...(share.snapshots
      ? []
      : [
          'the NAS can take no snapshot of it, so that there would be no way back (only shares on btrfs have any)',
        ]),
    ...(stated === undefined
      ? []
      : (['protocol', 'source', 'baseDir'] as const)
          .filter(key => stated[key] !== needed[key])
          .map(
            key =>
              `${by} gives ${key} as ${JSON.stringify(stated[key] ?? '')}, and the driver needs ${JSON.stringify(needed[key])}`,
          )),
    ...(stated !== undefined && !stated.dsm
      ? [`${by} has no dsm among its attributes, which the driver mounts it from`]
      : []),
  ]
}

/**
 * Throws Fault `share-unfit` with everything that {@link shareUnfitness} finds, before anything is changed.
 * @param stated attributes of the PersistentVolume in Git that leads to it, where there is one
 */
export function mustFitShare(
  claim: string,
  share: ListedShare,
  stated: Readonly<Record<string, string>> | undefined,
): void {
  const wrong = shareUnfitness(share, stated, 'the PersistentVolume in Git')
  if (wrong.length === 0) return
  throw new Fault({
    code: 'share-unfit',
    blame: 'operator',
    message: `the CSI driver could not mount the share ${share.name} for ${claim}: ${wrong.join('; ')}`,
    remedy: 'Correct it in Git or in DSM (Control Panel, Shared Folder), then run `recover resume`',
  })
}

/** Throws Fault `lun-unfit` with everything that {@link unfitness} finds, before anything is changed. */
export function mustFit(
  wanted: WantedVolume,
  luns: readonly ListedLun[],
  targets: readonly ListedTarget[],
): void {
  const wrong = unfitness(wanted, luns, targets)
  if (wrong.length === 0) return
  const name = luns.find(l => l.uuid === wanted.lun)?.name ?? wanted.lun
  throw new Fault({
    code: 'lun-unfit',
    blame: 'operator',
    message: `the CSI driver could not mount ${name} for ${wanted.claim}: ${wrong.join('; ')}`,
    remedy:
      'Mend it in DSM’s SAN Manager (a target of its own, no password, one session), then run `recover resume`',
  })
}
