import { byteLength } from './byte-text.ts'
import { cleanPath } from './go-path.ts'
import type { StructValue, Value } from './go-types.ts'
import type { IgnitionCheck } from './ignition-checks.ts'
import { urlFault } from './ignition-url-checks.ts'

const listOf = (value: Value) => (value as StructValue[] | undefined) ?? []
const empty = (value: Value) => value === undefined || value === ''

/** What is wrong with a path that must be there, absolute and as short as it can be. */
export function pathFault(path: string): string | undefined {
  if (path === '') return 'path not specified'
  if (!path.startsWith('/')) return 'path not absolute'
  return cleanPath(path) === path ? undefined : 'path is not fully simplified'
}

export const checkDisk: IgnitionCheck = (disk, path, notes) => {
  if (disk.device === '') {
    notes.error([...path, 'device'], 'disk device is required')
    return
  }
  notes.error([...path, 'device'], pathFault(disk.device as string))
  const partitions = listOf(disk.partitions)
  const report = (index: number | undefined, text: string) => {
    if (index !== undefined) notes.error([...path, 'partitions', index], text)
  }
  report(
    collision(
      partitions.map(p => (p.number === 0 ? undefined : p.number)),
      true,
    ),
    'partition numbers collide',
  )
  report(overlap(partitions), 'partitions overlap')
  if (partitions.some(p => p.shouldExist === false) && partitions.some(p => p.number === 0))
    notes.error(
      [...path, 'partitions'],
      'shouldExist is false for a partition and other partition(s) has start or size 0',
    )
  report(
    collision(
      partitions.map(p => p.label),
      false,
    ),
    'cannot use the same partition label twice',
  )
}

/**
 * The index of the second of the first two that are the same. Of numbers, several pairs of which collide, Ignition takes
 * any; here it is that whose first comes first.
 */
function collision(values: Value[], byFirst: boolean): number | undefined {
  if (byFirst)
    for (const [i, value] of values.entries()) {
      const other = value === undefined ? -1 : values.indexOf(value, i + 1)
      if (other >= 0) return other
    }
  else
    for (const [i, value] of values.entries()) if (value !== undefined && values.indexOf(value) < i) return i
  return undefined
}

function overlap(partitions: StructValue[]): number | undefined {
  const start = (p: StructValue) => Number(p.startMiB)
  const stop = (p: StructValue) => (p.sizeMiB === 0 ? start(p) : start(p) + Number(p.sizeMiB) - 1)
  const fixed = (p: StructValue) => p.startMiB !== undefined && p.sizeMiB !== undefined && p.startMiB !== 0
  for (const p of partitions) {
    if (!fixed(p)) continue
    for (const [i, o] of partitions.entries()) {
      if (!fixed(o) || p === o) continue
      if (start(p) >= start(o) && start(p) <= stop(o)) return i
      if (stop(p) >= start(o) && stop(p) <= stop(o)) return i
      if (start(p) < start(o) && stop(p) > stop(o)) return i
    }
  }
  return undefined
}

const guid = /^(?:|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})$/

export const checkPartition: IgnitionCheck = (partition, path, notes) => {
  const { label } = partition
  const others =
    label !== undefined ||
    !empty(partition.typeGuid) ||
    !empty(partition.guid) ||
    partition.startMiB !== undefined ||
    partition.sizeMiB !== undefined
  if (partition.shouldExist === false && others)
    notes.error(path, 'shouldExist specified false with other options also specified')
  if (partition.number === 0 && label === undefined)
    notes.error(path, 'a partition number >= 1 or a label must be specified')
  if (label !== undefined) {
    if (byteLength(label as string) > 36)
      notes.error([...path, 'label'], 'partition labels may not exceed 36 characters')
    else if ((label as string).includes(':'))
      notes.error([...path, 'label'], 'partition label will be truncated to text before the colon')
  }
  for (const key of ['guid', 'typeGuid'])
    if (partition[key] !== undefined && !guid.test(partition[key] as string))
      notes.error([...path, key], 'doesn\'t match the form "01234567-89AB-CDEF-EDCB-A98765432101"')
}

export const checkRaid: IgnitionCheck = (raid, path, notes, minor) => {
  notes.error([...path, 'level'], levelFault(raid, minor))
  if (listOf(raid.devices).length === 0) notes.error([...path, 'devices'], 'raid devices required')
}

function levelFault(raid: StructValue, minor: number): string | undefined {
  const level = (raid.level as string | undefined) ?? ''
  if (minor >= 3 && level === '') return 'raid level is required'
  if (['linear', 'raid0', '0', 'stripe'].includes(level))
    return raid.spares !== undefined && raid.spares !== 0
      ? 'spares unsupported for linear and raid0 arrays'
      : undefined
  const known = ['raid1', '1', 'mirror', 'raid4', '4', 'raid5', '5', 'raid6', '6', 'raid10', '10']
  return known.includes(level) ? undefined : 'unrecognized raid level'
}

/** Longest labels in bytes, and what is said of longer ones. */
const longestLabels: Record<string, number> = { ext4: 16, btrfs: 256, xfs: 12, swap: 15, vfat: 11 }

export const checkFilesystem: IgnitionCheck = (filesystem, path, notes, minor) => {
  const format = filesystem.format as string | undefined
  if (!empty(filesystem.path)) notes.error([...path, 'path'], pathFault(filesystem.path as string))
  notes.error([...path, 'device'], pathFault(filesystem.device as string))
  if (empty(format)) {
    const others =
      ['path', 'label', 'uuid'].some(key => !empty(filesystem[key])) ||
      filesystem.wipeFilesystem === true ||
      listOf(filesystem.mountOptions).length > 0 ||
      listOf(filesystem.options).length > 0
    if (others)
      notes.error(
        [...path, 'format'],
        'format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified',
      )
  } else if (longestLabels[format!] === undefined && (minor < 3 || format !== 'none'))
    notes.error([...path, 'format'], 'invalid filesystem format')
  if (empty(filesystem.label)) return
  const longest = longestLabels[format ?? '']
  if (empty(format)) notes.error([...path, 'label'], 'filesystem must specify format if label is specified')
  else if (longest !== undefined && byteLength(filesystem.label as string) > longest)
    notes.error(
      [...path, 'label'],
      `filesystem labels cannot be longer than ${longest} characters when using ${format}`,
    )
}

export const checkLuks: IgnitionCheck = (luks, path, notes, minor) => {
  const clevis = luks.clevis as StructValue | undefined
  const custom = clevis?.custom as StructValue | undefined
  if ((luks.name as string).includes('/'))
    notes.error([...path, 'name'], 'device names cannot contain slashes')
  if (!empty(luks.label) && byteLength(luks.label as string) > 47)
    notes.error([...path, 'label'], 'luks device labels cannot be longer than 47 characters')
  notes.error(
    [...path, 'device'],
    empty(luks.device) ? 'disk device is required' : pathFault(luks.device as string),
  )
  const threshold = clevis?.threshold
  const others =
    listOf(clevis?.tang).length > 0 || clevis?.tpm2 === true || (threshold !== undefined && threshold !== 0)
  const ownPin = minor < 3 ? custom !== undefined : !empty(custom?.pin)
  if (ownPin && others)
    notes.error([...path, 'clevis'], 'cannot use custom clevis config with tpm2, tang, or threshold')
  const key = (luks.keyFile as StructValue).source as string | undefined
  if (!empty(key) && urlFault(key!, minor) !== undefined)
    notes.error([...path, 'keys'], 'invalid key-file source')
  if ((luks.cex as StructValue | undefined)?.enabled !== true) return
  if (ownPin || others) notes.error([...path, 'cex'], 'cannot use cex with clevis')
  if (!empty(key)) notes.error([...path, 'cex'], 'cannot use key file with cex')
}
