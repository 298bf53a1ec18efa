import { Fault } from '../runbook/fault.ts'
import { type Disk, everything } from './disks.ts'
import type { HostFacts } from './facts.ts'

/**
 * What a person names a disk by; each one that is given must fit. Names as in /dev/disk/by-id are taken, too: a serial
 * as `nvme-Samsung_SSD_970_EVO_500GB_S4EVNX0M123456`, a WWN as `wwn-0x5002538d40a0b0c0` or `nvme-eui.0025385a71b0b0c0`.
 */
export interface DiskSelector {
  serial?: string | undefined
  wwn?: string | undefined
}

const byIdFolder = '/dev/disk/by-id/'
const byIdName = /^(ata|nvme|scsi|usb|virtio|mmc|ieee1394)-./

/**
 * The one disk that fits, never a guess. Throws a Fault when none does (`disk-not-found`, `disk-unnamed`), when several do
 * (`disk-ambiguous`), and for disks that nobody wipes by accident: a LUN of the NAS (`disk-is-lun`), a stick that is not
 * named as one (`disk-removable`), one that cannot be written (`disk-read-only`). All say what is there.
 */
export function resolveDisk(facts: HostFacts, selector: DiskSelector, host: string): Disk {
  const found = facts.disks.filter(disk => fits(disk, selector))
  const [disk] = found
  if (disk === undefined) throw notFound(facts, selector, host)
  if (found.length > 1) throw ambiguous(found, selector, host)
  if (disk.iscsi || disk.transport === 'iscsi')
    throw new Fault({
      code: 'disk-is-lun',
      blame: 'operator',
      message: `${nameOf(disk)} of ${host} is a LUN that it is logged in to${disk.iscsi ? ` (${disk.iscsi.target} at ${disk.iscsi.portal})` : ''}: a volume with data, never a disk to install on. Nothing was written`,
      remedy: `Name one of its own disks in recover.yaml (hosts.${host}.disk): ${listOf(ownDisks(facts)) || 'it has none'}`,
    })
  if (disk.readOnly)
    throw new Fault({
      code: 'disk-read-only',
      blame: 'operator',
      message: `${nameOf(disk)} of ${host} says that it is write-protected. Nothing was written`,
      remedy:
        'Look for a lock switch, or for the kernel’s messages about it (`dmesg`): a disk that fails turns read-only. Exchange it, or name another one',
    })
  const asBus = byIdName.test(plain(selector.serial ?? ''))
  if ((disk.removable || disk.transport === 'usb') && !asBus)
    throw new Fault({
      code: 'disk-removable',
      blame: 'operator',
      message: `${nameOf(disk)} of ${host} is removable: a stick or a card, perhaps the one that the installer was started from. Nothing was written`,
      remedy: `Pull it out; if it is the disk to install on, name it by its full name (hosts.${host}.disk.serial: ${disk.ids.find(id => byIdName.test(id)) ?? constructed(disk)})`,
    })
  return disk
}

/**
 * Refuses a disk that something on the running system works with: writing it in place would pull the floor from under
 * it. Fault `disk-in-use` names what, and how to let go of it.
 */
export function assertUnused(disk: Disk, host: string): void {
  const uses = usesOf(disk)
  if (uses.length === 0) return
  throw new Fault({
    code: 'disk-in-use',
    blame: 'operator',
    message: `${nameOf(disk)} of ${host} is in use by the system that runs now: ${uses.map(u => u.what).join('; ')}. Nothing was written`,
    remedy: `Start an installer that runs from memory (another rung, or a stick), or let go of it: ${[...new Set(uses.map(u => u.release))].join('; ')}`,
  })
}

/** What on the running system works with a disk, and the command that ends it. */
export function usesOf(disk: Disk): { what: string; release: string }[] {
  return [disk, ...everything(disk.children)].flatMap(node => {
    const called = 'mapped' in node && node.mapped ? node.mapped : node.name
    return [
      ...node.mountpoints.map(path => ({
        what: `${called} is mounted at ${path}`,
        release: `umount ${path}`,
      })),
      ...(node.swap ? [{ what: `${called} is swap`, release: `swapoff /dev/${node.name}` }] : []),
      ...(!('type' in node)
        ? []
        : node.type === 'lvm'
          ? [{ what: `the LVM volume ${called} is active`, release: 'vgchange -an' }]
          : node.type === 'raid'
            ? [{ what: `the array ${called} runs`, release: `mdadm --stop /dev/${node.name}` }]
            : node.type === 'crypt'
              ? [{ what: `the LUKS volume ${called} is open`, release: `cryptsetup close ${called}` }]
              : []),
    ]
  })
}

/** Disks that could be named for an installation: no LUNs. */
export function ownDisks(facts: HostFacts): Disk[] {
  return facts.disks.filter(d => d.transport !== 'iscsi' && !d.iscsi)
}

/** Whether a name below /dev/disk/by-id is that of this disk as a whole. */
export function hasId(disk: Disk, id: string): boolean {
  return disk.ids.includes(id) || fitsSerial(disk, id) || fitsWwn(disk, id)
}

function fits(disk: Disk, { serial, wwn }: DiskSelector): boolean {
  if (serial === undefined && wwn === undefined) return false
  return (
    (serial === undefined || fitsSerial(disk, plain(serial))) && (wwn === undefined || fitsWwn(disk, wwn))
  )
}

function fitsSerial(disk: Disk, wanted: string): boolean {
  if (wanted === '') return false
  if (disk.serial === wanted || disk.ids.includes(wanted)) return true
  // A system in memory has no udev and no such links; their form is known.
  return (
    byIdName.test(wanted) &&
    disk.serial !== '' &&
    wanted.replace(/^\w+-/, '') === constructed(disk).replace(/^\w+-/, '')
  )
}

function fitsWwn(disk: Disk, wanted: string): boolean {
  const number = wwnNumber(wanted)
  return number !== '' && (wwnNumber(disk.wwn) === number || disk.ids.includes(plain(wanted)))
}

/** `wwn-0x5000…`, `naa.5000…`, `scsi-35000…` and `0x5000…` are one number. */
function wwnNumber(text: string): string {
  return plain(text)
    .toLowerCase()
    .replace(/^wwn-|^nvme-(?=eui\.)|^nvme-(?=nvme\.)/, '')
    .replace(/^naa\.|^scsi-3(?=[0-9a-f]{16})/, '0x')
}

function plain(name: string): string {
  const trimmed = name.trim()
  return trimmed.startsWith(byIdFolder) ? trimmed.slice(byIdFolder.length) : trimmed
}

function constructed(disk: Disk): string {
  const bus =
    { sata: 'ata', nvme: 'nvme', usb: 'usb', virtio: 'virtio', mmc: 'mmc' }[disk.transport] ?? 'scsi'
  return `${bus}-${[disk.model, disk.serial].filter(Boolean).join('_').replace(/\s+/g, '_')}`
}

function notFound(facts: HostFacts, selector: DiskSelector, host: string): Fault {
  const half = facts.disks.find(d => selector.serial !== undefined && fitsSerial(d, plain(selector.serial)))
  if (half)
    return new Fault({
      code: 'disk-not-found',
      blame: 'operator',
      message: `${host} has a disk with serial ${selector.serial}, but its WWN is ${half.wwn || 'unknown'}, not ${selector.wwn}. Nothing was written`,
      remedy: `Check which of the two in recover.yaml (hosts.${host}.disk) is wrong`,
    })
  const unnamed = ownDisks(facts).filter(d => d.serial === '' && d.wwn === '')
  const hidden = facts.access === 'none'
  if (unnamed.length > 0 && unnamed.length === ownDisks(facts).length)
    return new Fault({
      code: 'disk-unnamed',
      blame: 'operator',
      message: `${host} shows neither serial nor WWN of any of its disks (${listOf(unnamed)}), so none of them can be told from another. Nothing was written`,
      remedy: hidden
        ? `Give the user that logs in to ${host} sudo without a password, so that serial numbers can be read`
        : 'A virtual machine’s disk gets a serial in its definition (QEMU: `serial=`); behind a RAID controller, look for the volume’s identifier',
    })
  return new Fault({
    code: 'disk-not-found',
    blame: 'operator',
    message: `${host} has no disk with ${wantedText(selector)}; it has ${listOf(facts.disks) || 'no disks'}. Nothing was written`,
    remedy: hidden
      ? `Without sudo on ${host} not every serial can be read; allow sudo without a password, or check that recover.yaml names the right disk (hosts.${host}.disk)`
      : `Check that this is the right machine and that recover.yaml names the right disk (hosts.${host}.disk), by its serial or WWN`,
  })
}

function ambiguous(found: Disk[], selector: DiskSelector, host: string): Fault {
  const wwns = new Set(found.map(d => d.wwn))
  return new Fault({
    code: 'disk-ambiguous',
    blame: 'operator',
    message: `${host} has ${found.length} disks with ${wantedText(selector)}: ${listOf(found)}. Nothing was written`,
    remedy:
      selector.wwn === undefined && wwns.size === found.length && !wwns.has('')
        ? `Name its WWN as well (hosts.${host}.disk.wwn), one of ${[...wwns].join(', ')}`
        : 'They may be one disk seen over two paths, or an adapter that hides their serials: disconnect the one that is not meant',
  })
}

function wantedText({ serial, wwn }: DiskSelector): string {
  return [serial !== undefined && `serial ${serial}`, wwn !== undefined && `WWN ${wwn}`]
    .filter(Boolean)
    .join(' and ')
}

function nameOf(disk: Disk): string {
  return `/dev/${disk.name} (${disk.model || 'no model'}, serial ${disk.serial || 'none'})`
}

function listOf(disks: Disk[]): string {
  return disks.map(d => `${nameOf(d)}${d.iscsi ? ', a LUN' : ''}`).join(', ')
}
