import { type BlockNode, type Disk, everything } from './disks.ts'
import type { HostFacts } from './facts.ts'
import { idOf, type LocalData, onRawDevices, parseLocalData } from './local-data.ts'
import { cutShort } from './sections.ts'

/** What lies in file systems of a disk that nothing has mounted. */
export interface UnmountedData {
  data: LocalData[]
  /** What cannot be told, in whole sentences: parts of the disk that cannot be mounted, or not all of. */
  unknown: string[]
}

const readable = /^(?:ext[234]|xfs|btrfs)$/

const encrypted = /^(?:crypto_LUKS|BitLocker)$/

/** Nothing, or nothing that anybody would miss. */
const nothing = /^(?:swap|vfat)?$/

/** Partitions of Flatcar and Fedora CoreOS that hold the release, its boot loader and its config. */
const ofTheSystem = /^(?:EFI-SYSTEM|BIOS-BOOT|USR-[A-C]|OEM(?:-CONFIG)?|boot)$/

/** The file systems of a disk that can be looked into, as the script is told of them: `DEVICE:TYPE`. */
export function fileSystemsOf(disk: Disk): string[] {
  return partsOf(disk)
    .filter(part => readable.test(part.fsType))
    .map(part => `${deviceOf(part)}:${part.fsType}`)
}

/** What of a disk is encrypted and has not been opened, in whole sentences: nobody who looks for data sees what is in it. */
export function encryptedOn(disk: Disk): string[] {
  return partsOf(disk)
    .filter(part => encrypted.test(part.fsType))
    .map(
      part =>
        `${shown(part)} is encrypted and not open: its contents cannot be looked at, and whatever they are is lost with the disk`,
    )
}

/** Reads what the script printed. Throws Fault `host-facts-incomplete` when the end is missing. */
export function parseUnmounted(text: string, disk: Disk, facts: HostFacts, host: string): UnmountedData {
  const lines = text.split('\n')
  if (!/(^|\n)end\n*$/.test(text)) throw cutShort(host, 'telling what is on its disk')
  const opened = new Map<string, string[]>()
  const unplayed = new Set<string>()
  let current: string[] = []
  for (const line of lines) {
    const [what, device = ''] = line.split('\t')
    if (what === 'opened' || what === 'unplayed') opened.set(device, (current = []))
    if (what === 'unplayed') unplayed.add(device)
    current.push(line)
  }
  const of = (report: string) => parseLocalData(report, facts, host).data
  const data = onRawDevices(facts).filter(d => d.disk === idOf(disk))
  const unknown: string[] = []
  for (const part of partsOf(disk).filter(p => !encrypted.test(p.fsType))) {
    const said = opened.get(deviceOf(part))
    if (data.some(d => d.path === `/dev/${deviceOf(part)}`)) continue
    if (!said) unknown.push(`${shown(part)} cannot be looked into: what is in it is not known`)
    if (unplayed.has(deviceOf(part)))
      unknown.push(
        `${shown(part)} was looked into without its journal: what was written to it last may not have been found`,
      )
    if (said?.some(line => line.startsWith('root\t')))
      for (const { kind, path, ...found } of of(said.join('\n')).filter(d => !isDevice(d))) {
        const twice = data.some(d => d.path === path)
        data.push({ kind, path: twice ? `${path} of ${nameOf(part)}` : path, ...found, disk: idOf(disk) })
      }
    else {
      const entries = (said ?? []).flatMap(line =>
        line.startsWith('inside\t') ? [line.split('\t')[2] ?? ''] : [],
      )
      const path = `${nameOf(part)}${part.label ? ` (${part.label})` : ''}`
      if (entries.length > 0)
        data.push({ kind: 'files', path, disk: idOf(disk), bytes: part.sizeBytes, entries })
    }
  }
  return { data, unknown }
}

/** What needs no file system is found without one. */
function isDevice({ kind }: LocalData): boolean {
  return kind === 'ceph' || kind === 'lvm'
}

function deviceOf(part: Part): string {
  return part.mapped === undefined ? part.name : `mapper/${part.mapped}`
}

type Part = Pick<BlockNode, 'name' | 'mapped' | 'number' | 'fsType' | 'label' | 'sizeBytes'>

/** Every part of a disk with something on it that is not open already in what lies on it, and not the system's own. */
function partsOf(disk: Disk): Part[] {
  const nodes = [...everything(disk.children)].filter(n => !ofTheSystem.test(n.partLabel))
  return [disk, ...nodes].filter(n => !nothing.test(n.fsType) && n.children.length === 0)
}

function shown(part: Part): string {
  return `${nameOf(part)} (${[part.fsType, part.label].filter(Boolean).join(' ')})`
}

/** The same in every boot, whatever the kernel calls the disk. */
function nameOf(part: Part): string {
  if (part.mapped !== undefined) return part.mapped
  return part.number === undefined ? 'the whole disk' : `partition ${part.number}`
}
