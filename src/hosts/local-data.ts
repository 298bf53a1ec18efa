import { type Disk, everything } from './disks.ts'
import type { HostFacts } from './facts.ts'
import { cutShort } from './sections.ts'

/** What kind of data lives on a machine's own disk. */
export type DataKind =
  | 'volume'
  | 'local-path'
  | 'openebs'
  | 'longhorn'
  | 'rook'
  | 'ceph'
  | 'lvm'
  | 'kine'
  | 'etcd'
  | 'kubelet'
  | 'nfs'
  | 'tang'
  | 'files'

/** Data on a machine's own disk. */
export interface LocalData {
  kind: DataKind
  /** Where it was looked for; for Ceph and LVM, the device; for files of an unmounted file system, its part of the disk. */
  path: string
  /** What wipes it: serial or WWN of the disk that it lies on; empty when nobody can say. */
  disk: string
  /** Undefined when it could not be measured in time. */
  bytes?: number | undefined
  /** Names inside: volumes, replicas, keys. */
  entries: string[]
}

/** A file that is small enough to be saved. */
export interface SmallFile {
  kind: 'kine' | 'k0s-config' | 'exports' | 'tang' | 'iscsi' | 'kubelet'
  path: string
  bytes: number
}

export interface LocalDataReport {
  data: LocalData[]
  files: SmallFile[]
  /** Pods that mounted volumes of the NAS, as the folders of their logs are called: `NAMESPACE_NAME_UID`. */
  pods: string[]
}

/** What is saved to the evidence of a run, all of a machine together, and no file larger than this. */
export const savedBytes = 64 * 1024 * 1024

/** Reads what the data script printed. Throws Fault `host-facts-incomplete` when the end is missing. */
export function parseLocalData(text: string, facts: HostFacts, host: string): LocalDataReport {
  const lines = text.split('\n').map(line => line.split('\t'))
  if (!lines.some(([kind]) => kind === 'end')) throw cutShort(host, 'telling what data is on it')
  const data: LocalData[] = []
  const files: SmallFile[] = []
  const pods = new Set<string>()
  for (const [what, kind, path = '', ...rest] of lines)
    if (what === 'data')
      data.push({
        kind: kind as DataKind,
        path,
        disk: diskOf(facts, rest[0] || path),
        ...(rest[1] ? { bytes: Number(rest[1]) } : {}),
        entries: [],
      })
    else if (what === 'entry') data.find(d => d.kind === kind && d.path === path)?.entries.push(rest[0] ?? '')
    else if (what === 'file')
      files.push({ kind: kind as SmallFile['kind'], path, bytes: Number(rest[0] ?? 0) })
    else if (what === 'pod') pods.add(kind ?? '')
  return { data: [...data, ...onRawDevices(facts)], files, pods: [...pods] }
}

/** What was asked to be saved and fits: everything of a kind, or nothing of it. */
export function fitting(files: SmallFile[]): SmallFile[] {
  let left = savedBytes
  const kinds = new Map<string, SmallFile[]>()
  for (const file of files) kinds.set(file.kind, [...(kinds.get(file.kind) ?? []), file])
  return [...kinds.values()]
    .sort((a, b) => total(a) - total(b))
    .flatMap(group => {
      if (total(group) > left) return []
      left -= total(group)
      return group
    })
}

/** Reads what the fetch script printed, by path. Throws Fault `host-facts-incomplete` when the end is missing. */
export function parseFetched(text: string, host: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  if (!/(^|\n)end\n?$/.test(text)) throw cutShort(host, 'a file')
  const [, ...parts] = `\n${text.replace(/end\n?$/, '')}`.split(/\nfile /)
  for (const part of parts) {
    const end = part.indexOf('\n')
    found.set(part.slice(0, end), Buffer.from(part.slice(end + 1), 'base64'))
  }
  return found
}

/** Serial or WWN of the disk that a path lies on: of the longest mount that leads to it. */
export function diskOf(facts: HostFacts, path: string): string {
  let best = ''
  let disk: Disk | undefined
  for (const candidate of facts.disks)
    for (const node of [candidate, ...everything(candidate.children)])
      for (const mount of node.mountpoints) {
        const above = mount === '/' || path === mount || path.startsWith(`${mount}/`)
        if (above && mount.length > best.length) {
          best = mount
          disk = candidate
        }
      }
  return disk ? idOf(disk) : ''
}

/** What a disk is known by in what is kept about it. */
export function idOf(disk: Pick<Disk, 'serial' | 'wwn' | 'name'>): string {
  return disk.serial || disk.wwn || disk.name
}

/** Ceph's OSDs and logical volumes need no file system that is mounted. */
export function onRawDevices(facts: HostFacts): LocalData[] {
  return facts.disks
    .filter(disk => disk.transport !== 'iscsi')
    .flatMap(disk =>
      [disk, ...everything(disk.children)].flatMap((node): LocalData[] => {
        const mapped = 'mapped' in node ? node.mapped : undefined
        const common = {
          path: `/dev/${mapped ? `mapper/${mapped}` : node.name}`,
          disk: idOf(disk),
          bytes: node.sizeBytes,
          entries: [],
        }
        if (node.fsType === 'ceph_bluestore' || /^ceph-.*osd-(block|data)/.test(mapped ?? ''))
          return [{ kind: 'ceph', ...common }]
        // Volumes that a CSI driver cut from a volume group; the system's own are mounted where its data is seen anyway.
        if ('type' in node && node.type === 'lvm' && /(^|-)pvc--/.test(mapped ?? ''))
          return [{ kind: 'lvm', ...common, entries: [mapped ?? ''] }]
        return []
      }),
    )
}

function total(files: SmallFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes, 0)
}
