import { Fault } from '../../runbook/fault.ts'
import { type BlockNode, type Disk, everything } from '../disks.ts'
import { quote } from '../host.ts'

/**
 * Commands that end whatever uses a disk that is about to be written: mounts, swap, LVM, arrays, opened LUKS volumes; the
 * uppermost first. Throws Fault `disk-shared` when something stretches over another disk, too: what that disk holds was
 * not agreed to, and flatcar-install itself would write through an active volume (Flatcar#332).
 */
export function releaseOf(disk: Disk, disks: Disk[], host: string): string[] {
  if (disk.boot)
    throw new Fault({
      code: 'disk-in-use',
      blame: 'operator',
      message: `the system that runs on ${host} lives on /dev/${disk.name}, which is to be written; nothing was written`,
      remedy: 'Boot an installer that runs from memory',
    })
  const others = disks.filter(d => d !== disk && d.name !== disk.name)
  const elsewhere = new Set(others.flatMap(d => [...everything(d.children)].map(n => n.name)))
  const groupsElsewhere = new Set(
    others
      .flatMap(d => [d.volumeGroup, ...[...everything(d.children)].map(n => n.volumeGroup)])
      .filter(Boolean),
  )
  const refuse = (what: string): never => {
    throw new Fault({
      code: 'disk-shared',
      blame: 'operator',
      message: `${what} on /dev/${disk.name} of ${host} lies on another disk, too (${others.map(d => d.name).join(', ')}); nothing was written`,
      remedy: `Save what is on it, take it apart by hand (pvmove, vgreduce, mdadm --fail and --remove) so that it leaves the disk, then run \`recover resume\``,
    })
  }
  const lines: string[] = []
  const release = (node: Pick<BlockNode, 'name' | 'mountpoints' | 'swap'>) => {
    for (const path of node.mountpoints.toReversed()) lines.push(`umount ${quote(path)}`)
    if (node.swap) lines.push(`swapoff ${quote(`/dev/${node.name}`)}`)
  }
  const seen = new Set<string>()
  const below = (nodes: BlockNode[]) => {
    for (const node of nodes) {
      below(node.children)
      if (seen.has(node.name)) continue
      seen.add(node.name)
      if (node.type !== 'part' && elsewhere.has(node.name)) refuse(`${node.type} ${node.mapped ?? node.name}`)
      release(node)
      const group = node.volumeGroup
      if (group !== undefined && node.children.length > 0) {
        if (groupsElsewhere.has(group)) refuse(`the volume group ${group}`)
        lines.push(`vgchange -an ${quote(group)}`)
      }
      if (node.type === 'raid') lines.push(`mdadm --stop ${quote(`/dev/${node.name}`)}`)
      if (node.type === 'crypt') lines.push(`cryptsetup close ${quote(node.mapped ?? node.name)}`)
    }
  }
  below(disk.children)
  release(disk)
  if (disk.volumeGroup !== undefined && disk.children.length > 0) {
    if (groupsElsewhere.has(disk.volumeGroup)) refuse(`the volume group ${disk.volumeGroup}`)
    lines.push(`vgchange -an ${quote(disk.volumeGroup)}`)
  }
  return [...new Set(lines)]
}

/** Labels by which Flatcar finds its own partitions, on whichever disk they are. */
const flatcarLabels = ['ROOT', 'OEM', 'USR-A', 'EFI-SYSTEM']

/**
 * Another disk that has Flatcar's labels: the new system could take its root from there (Flatcar#404). We do not write
 * to a disk that nobody named, so a person has to. Undefined when there is none.
 */
export function otherFlatcarDisk(
  disk: Disk,
  disks: Disk[],
): { name: string; serial: string; labels: string[] } | undefined {
  for (const other of disks) {
    if (other.name === disk.name) continue
    const labels = flatcarLabels.filter(label =>
      other.children.some(n => n.label === label || n.partLabel === label),
    )
    if (labels.includes('ROOT') || labels.includes('USR-A') || labels.includes('OEM'))
      return { name: other.name, serial: other.serial, labels }
  }
  return undefined
}
