import { Fault } from '../runbook/fault.ts'

/** A whole disk, as the machine sees it now. */
export interface Disk {
  /** Kernel name without /dev; may be another one after the next boot. */
  name: string
  serial: string
  wwn: string
  model: string
  sizeBytes: number
  /** File systems, LUKS, LVM, md on it or its partitions: `nvme0n1p9 ext4 ROOT`. The same whichever system looks. */
  content: string[]
  mounted: boolean
}

/** What one look at a machine tells. */
export interface HostFacts {
  hostname: string
  os: { id: string; name: string; version: string; variant: string }
  /** File system of `/`: `ext4`, `btrfs`; `tmpfs`, `ramfs`, `overlay` on a system that runs from memory. */
  rootFileSystem: string
  bootId: string
  machineSerial: string
  macs: string[]
  disks: Disk[]
  /** The run that made this system, if one did. */
  run: { run: string; host: string } | undefined
  units: Record<string, string>
  initiator: string
}

/**
 * Gathers everything in one round trip, by reading only. Ends in a mark, so that a line that broke is not taken for a
 * machine without disks.
 */
export const factScript = `export LC_ALL=C PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
part() { printf '\\n=== %s\\n' "$1"; }
part os-release; cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null
part root-fs; findmnt -n -o FSTYPE / 2>/dev/null
part boot-id; cat /proc/sys/kernel/random/boot_id
part hostname; cat /proc/sys/kernel/hostname
part machine-serial; cat /sys/class/dmi/id/product_serial 2>/dev/null
part macs; cat /sys/class/net/*/address 2>/dev/null
part disks; lsblk --json --bytes -o NAME,TYPE,SERIAL,WWN,SIZE,MODEL,FSTYPE,LABEL,MOUNTPOINT 2>/dev/null
part run; cat /etc/recover/run.json 2>/dev/null
part units; for u in k0scontroller k0sworker update-engine locksmithd; do printf '%s %s\\n' "$u" "$(systemctl is-active "$u" 2>/dev/null)"; done
part initiator; cat /etc/iscsi/initiatorname.iscsi 2>/dev/null
part end`

/** Reads what {@link factScript} printed. Throws Fault `host-facts-incomplete` when the end is missing. */
export function parseFacts(text: string, host: string): HostFacts {
  const parts = new Map<string, string>()
  for (const part of text.split(/^=== /m).slice(1)) {
    const end = part.indexOf('\n')
    parts.set(part.slice(0, end === -1 ? undefined : end), end === -1 ? '' : part.slice(end + 1).trim())
  }
  if (!parts.has('end'))
    throw new Fault({
      code: 'host-facts-incomplete',
      blame: 'network',
      message: `${host} stopped talking in the middle of telling what it is`,
      remedy: 'Check the line to it; it is asked again by itself',
      transient: true,
    })
  const part = (name: string) => parts.get(name) ?? ''
  const release = Object.fromEntries(
    part('os-release')
      .split('\n')
      .map(line => /^(\w+)="?([^"]*)"?$/.exec(line))
      .flatMap(match => (match ? [[match[1], match[2]]] : [])),
  ) as Record<string, string>
  const initiator = /InitiatorName=(\S+)/.exec(part('initiator'))?.[1]
  return {
    hostname: part('hostname'),
    os: {
      id: release.ID ?? '',
      name: release.PRETTY_NAME ?? release.NAME ?? '',
      version: release.VERSION_ID ?? '',
      variant: release.VARIANT_ID ?? '',
    },
    rootFileSystem: part('root-fs').split('\n')[0] ?? '',
    bootId: part('boot-id'),
    machineSerial: part('machine-serial'),
    macs: part('macs')
      .split('\n')
      .filter(mac => mac !== '' && mac !== '00:00:00:00:00:00'),
    disks: disksOf(part('disks')),
    run: runOf(part('run')),
    units: Object.fromEntries(
      part('units')
        .split('\n')
        .map(line => line.split(' '))
        .filter(words => words[0])
        .map(([unit, state]) => [unit, state || 'absent']),
    ),
    initiator: initiator ?? '',
  }
}

interface BlockDevice {
  name: string
  type: string
  serial?: string | null
  wwn?: string | null
  size: number | string
  model?: string | null
  fstype?: string | null
  label?: string | null
  mountpoint?: string | null
  children?: BlockDevice[]
}

function disksOf(json: string): Disk[] {
  if (json === '') return []
  const { blockdevices } = JSON.parse(json) as { blockdevices: BlockDevice[] }
  return (
    blockdevices
      // A card reader without a card is a disk of no size.
      .filter(d => d.type === 'disk' && Number(d.size) > 0)
      .map(disk => {
        const all = [...everything(disk)]
        return {
          name: disk.name,
          serial: disk.serial?.trim() ?? '',
          wwn: disk.wwn ?? '',
          model: disk.model?.trim() ?? '',
          sizeBytes: Number(disk.size),
          content: all.filter(d => d.fstype).map(d => [d.name, d.fstype, d.label].filter(Boolean).join(' ')),
          mounted: all.some(d => d.mountpoint),
        }
      })
  )
}

function* everything(device: BlockDevice): Generator<BlockDevice> {
  yield device
  for (const child of device.children ?? []) yield* everything(child)
}

function runOf(json: string): HostFacts['run'] {
  try {
    const { run, host } = JSON.parse(json) as { run?: unknown; host?: unknown }
    return typeof run === 'string' && typeof host === 'string' ? { run, host } : undefined
  } catch {
    return undefined
  }
}

/** What a person names a disk by; any one of these that is given must fit. */
export interface DiskSelector {
  serial?: string | undefined
  wwn?: string | undefined
}

/** The one disk that fits. Throws Fault `disk-not-found` or `disk-ambiguous`, naming what is there. */
export function resolveDisk(facts: HostFacts, selector: DiskSelector, host: string): Disk {
  const wanted = [selector.serial && `serial ${selector.serial}`, selector.wwn && `WWN ${selector.wwn}`]
    .filter(Boolean)
    .join(' and ')
  const found = facts.disks.filter(
    d =>
      (selector.serial !== undefined || selector.wwn !== undefined) &&
      (selector.serial === undefined || d.serial === selector.serial) &&
      (selector.wwn === undefined || d.wwn === selector.wwn),
  )
  if (found.length === 1) return found[0]!
  const there = facts.disks.map(d => `/dev/${d.name} (${d.model}, serial ${d.serial || 'none'})`).join(', ')
  throw new Fault({
    code: found.length === 0 ? 'disk-not-found' : 'disk-ambiguous',
    blame: 'operator',
    message: `${host} has ${found.length === 0 ? 'no disk' : `${found.length} disks`} with ${wanted}; it has ${there || 'no disks'}. Nothing was written`,
    remedy:
      'Check that this is the right machine and that recover.yaml names the right disk (hosts.….disk), by its serial or WWN',
  })
}
