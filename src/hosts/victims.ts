import type { Victim } from '../runbook/step.ts'
import { type BlockNode, type Disk, everything } from './disks.ts'
import type { HostFacts } from './facts.ts'
import { type DataKind, idOf } from './local-data.ts'
import { type DiskSelector, resolveDisk } from './resolve-disk.ts'
import { encryptedOn } from './unmounted-data.ts'

/** What was found on a machine's own disks when it was surveyed, before anything was done to it. */
export interface Survey {
  /**
   * `silent`: nobody answered. `memory`: a system that has none of the disks mounted. `hidden`: neither root nor sudo, so
   * much may be unseen. `disk`: data could be seen. `unmounted`: its file systems were looked into from the machine's memory.
   */
  saw: 'disk' | 'hidden' | 'memory' | 'silent' | 'unmounted'
  data: SurveyedData[]
  /** With `unmounted`: what could not be looked into, in whole sentences. */
  unknown?: string[]
}

export interface SurveyedData {
  kind: DataKind
  path: string
  disk: string
  bytes?: number | undefined
  entries: string[]
  /** Claims (`namespace/name`) whose data this is. */
  claims: string[]
  /** All of it is small, and is kept with the run's evidence. */
  saved: boolean
}

/**
 * What installing a machine anew destroys: the one disk that was named, as it is now, and beside it each thing on it that
 * is too large to be saved, which needs a word of its own. Throws what {@link resolveDisk} throws.
 */
export function hostVictims(
  facts: HostFacts,
  entry: { disk: DiskSelector },
  host: string,
  survey?: Survey,
): Victim[] {
  const disk = resolveDisk(facts, entry.disk, host)
  const onIt = (survey?.data ?? []).filter(d => d.disk === idOf(disk) || d.disk === '')
  return [
    {
      kind: 'disk',
      name: `${host} ${disk.serial || disk.wwn}`,
      identity: {
        machine: facts.machineSerial,
        serial: disk.serial,
        wwn: disk.wwn,
        model: disk.model,
        sizeBytes: disk.sizeBytes,
      },
      content: diskContent(disk),
      remarks: [...openedFrom(disk), ...dataRemarks(onIt, survey), ...encryptedOn(disk)],
    },
    ...onIt
      .filter(data => !data.saved)
      .map(
        (data): Victim => ({
          kind: 'data',
          name: `${host} ${data.path}`,
          identity: { machine: facts.machineSerial, disk: data.disk, kind: data.kind, path: data.path },
          content:
            data.claims.length > 0 ? data.claims.map(claim => `claim ${claim}`) : data.entries.slice(0, 20),
          remarks: [describeData(data)],
        }),
      ),
  ]
}

/**
 * What is on a disk, in words that stay the same whichever system looks and whatever the kernel calls the disk: what is
 * visible without opening anything, by partition number.
 */
export function diskContent(disk: Disk): string[] {
  return [
    ...(disk.fsType === '' ? [] : [`whole disk: ${[disk.fsType, disk.label].filter(Boolean).join(' ')}`]),
    ...disk.children
      .filter(node => node.type === 'part')
      .map(
        node =>
          `partition ${node.number}: ${showBytes(node.sizeBytes)}, ${[node.fsType || 'nothing recognised', node.label || node.partLabel].filter(Boolean).join(' ')}`,
      ),
  ]
}

/** One sentence about data that would be lost or is saved. */
export function describeData(data: SurveyedData): string {
  const what = { ...names, volume: 'a PersistentVolume' }[data.kind]
  const size = data.bytes === undefined ? 'size not known' : showBytes(data.bytes)
  const whose =
    data.claims.length > 0
      ? `, of ${data.claims.join(', ')}`
      : data.entries.length > 0
        ? `, ${data.entries.length} inside (${data.entries.slice(0, 3).join(', ')}${data.entries.length > 3 ? ', …' : ''})`
        : ''
  return `${data.saved ? 'kept with the run’s evidence' : 'LOST with the disk'}: ${what} in ${data.path} (${size}${whose})`
}

const names: Record<Exclude<DataKind, 'volume'>, string> = {
  'local-path': 'volumes of local-path',
  openebs: 'volumes of OpenEBS',
  longhorn: 'replicas of Longhorn',
  rook: 'the state of Rook',
  ceph: 'a Ceph OSD',
  lvm: 'a logical volume',
  kine: 'kine’s database, which is all that this cluster’s API knows',
  etcd: 'a member of etcd, which is all that this cluster’s API knows',
  kubelet: 'local volumes of pods',
  nfs: 'a directory exported by NFS',
  files: 'a file system with files',
  tang: 'keys of a Tang server: whatever is encrypted against them cannot be opened without',
}

/** Bytes for people: `465.8 GB` as disks are sold, powers of ten. */
export function showBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

function dataRemarks(data: SurveyedData[], survey: Survey | undefined): string[] {
  if (survey === undefined) return []
  if (survey.saw === 'silent')
    return ['nobody answered when data on it was looked for: what is inside its file systems is not known']
  if (survey.saw === 'memory')
    return [
      'its file systems were not mounted when data on it was looked for: what is inside them is not known',
    ]
  if (survey.saw === 'hidden')
    return [
      'whoever looked for data on it had neither root nor sudo: there may be more than was found',
      ...data.map(describeData),
    ]
  if (survey.saw === 'unmounted')
    return [
      data.length > 0
        ? 'nobody could ask its system; its file systems were looked into from the machine’s memory'
        : 'nobody could ask its system; in the file systems that can be looked into from the machine’s memory, no volumes, databases, exports, keys or files were found',
      ...data.map(describeData),
      ...(survey.unknown ?? []),
    ]
  return data.length > 0
    ? data.map(describeData)
    : ['no volumes, databases, exports or keys were found on it']
}

/** What only a system that has opened it can see. */
function openedFrom(disk: Disk): string[] {
  return [...everything(disk.children)]
    .filter((node: BlockNode) => node.type !== 'part')
    .map(
      node =>
        `${node.type === 'lvm' ? 'logical volume' : node.type === 'raid' ? 'array' : node.type} ${node.mapped ?? node.name} on it: ${node.fsType || 'nothing recognised'}, ${showBytes(node.sizeBytes)}${node.mountpoints.length > 0 ? `, mounted at ${node.mountpoints.join(', ')}` : ''}`,
    )
}
