import { type Entry, notesInto } from './entries.ts'
import type { StructValue, Value } from './go-types.ts'
import type { Spec } from './specs.ts'

const listOf = (value: Value) => (value as StructValue[] | undefined) ?? []

/** Labels that the image uses, and the numbers that it has them at. */
const reserved: Record<string, number> = {
  'BIOS-BOOT': 1,
  'PowerPC-PReP-boot': 1,
  'EFI-SYSTEM': 2,
  boot: 3,
  root: 4,
}

/** Warns of partitions that the image of Fedora CoreOS would not get along with. */
export function partitionWarnings(config: StructValue, spec: Spec): Entry[] {
  const list: Entry[] = []
  const notes = notesInto(list, 'compiled')
  listOf((config.storage as StructValue).disks).forEach((disk, i) => {
    const partitions = listOf(disk.partitions)
    partitions.forEach((partition, p) => {
      const label = partition.label as string | undefined
      if (label === undefined) return
      const path = ['storage', 'disks', i, 'partitions', p]
      const size = partition.sizeMiB
      if (label === 'root' && spec.minor >= 3) {
        const automatic = (other: StructValue) => other.startMiB === undefined || other.startMiB === 0
        if (size !== undefined && size !== 0) {
          if (Number(size) < 8192)
            notes.warning([...path, 'size_mib'], 'root should have 8GiB of space assigned')
        } else if (partitions.some((other, o) => o !== p && automatic(other)))
          notes.warning(
            [...path, 'label'],
            'root partition cannot expand; it is set to fill available space but is followed by an auto-positioned partition',
          )
      }
      const number = Object.hasOwn(reserved, label) ? reserved[label] : undefined
      if (disk.wipeTable !== true && number !== undefined && partition.number !== number)
        notes.warning(
          [...path, 'label'],
          'incorrect partition number; a new partition will be created using reserved label',
        )
    })
  })
  return list
}
