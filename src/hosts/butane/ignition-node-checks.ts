import type { Notes } from './entries.ts'
import { cleanPath, joinPath } from './go-path.ts'
import type { StructValue, Value } from './go-types.ts'
import type { IgnitionCheck } from './ignition-checks.ts'
import { pathFault } from './ignition-disk-checks.ts'
import type { Path } from './places.ts'

const listOf = (value: Value) => (value as StructValue[] | undefined) ?? []

/** What files, directories and links have in common. */
export const checkNode: IgnitionCheck = (node, path, notes) => {
  notes.error([...path, 'path'], pathFault(node.path as string))
}

function checkMode(mode: Value, path: Path, notes: Notes, minor: number): void {
  if (mode === undefined) return
  const bits = BigInt(mode as number | bigint)
  if (bits < 0n || bits > 0o7777n) notes.error(path, 'illegal file mode')
  if (minor < 6 && (BigInt.asUintN(32, bits) & 0o7000n) !== 0n)
    notes.warning(
      path,
      'setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0',
    )
}

export const checkDirectory: IgnitionCheck = (directory, path, notes, minor) => {
  checkNode(directory, path, notes, minor)
  checkMode(directory.mode, [...path, 'mode'], notes, minor)
}

export const checkFile: IgnitionCheck = (file, path, notes, minor) => {
  checkNode(file, path, notes, minor)
  checkMode(file.mode, [...path, 'mode'], notes, minor)
  if (file.overwrite === true && (file.contents as StructValue).source === undefined)
    notes.error([...path, 'overwrite'], 'overwrite must be false if source is unspecified')
}

/** Nodes that stand in each other's way. */
export const checkStorage: IgnitionCheck = (storage, path, notes, minor) => {
  const links = listOf(storage.links)
  const below = (node: StructValue) => links.filter(link => (node.path as string).startsWith(`${link.path}/`))
  const kinds = [
    ['directories', 'directory path includes link in config'],
    ['files', 'file path includes link in config'],
  ] as const
  for (const [kind, text] of kinds)
    listOf(storage[kind]).forEach((node, i) => {
      for (const _ of below(node)) notes.error([...path, kind, i], text)
    })
  links.forEach((link, i) => {
    const place = [...path, 'links', i]
    for (const _ of below(link)) notes.error(place, 'link path includes link in config')
    checkLink(link, place, listOf(storage.directories), notes, minor)
  })
  checkFilesystemsOnDisks(storage, path, notes)
}

function checkLink(
  link: StructValue,
  path: Path,
  directories: StructValue[],
  notes: Notes,
  minor: number,
): void {
  const written = (link.target as string | undefined) ?? ''
  if (minor >= 3 && written === '') {
    notes.error([...path, 'target'], 'link target is required')
    return
  }
  if (link.hard !== true) return
  let target = cleanPath(written)
  if (!target.startsWith('/')) target = joinPath(link.path as string, written)
  for (const directory of directories)
    if (directory.path === target) notes.error(path, 'hard link target is a directory')
  for (const owner of ['user', 'group'])
    for (const key of ['id', 'name'])
      if ((link[owner] as StructValue)[key] !== undefined)
        notes.warning([...path, owner, key], 'user/group ignored for hard link')
}

function checkFilesystemsOnDisks(storage: StructValue, path: Path, notes: Notes): void {
  const disks = new Map(listOf(storage.disks).map(d => [d.device, d]))
  listOf(storage.filesystems).forEach((filesystem, i) => {
    const disk = disks.get(filesystem.device)
    if (!disk) return
    const place = [...path, 'filesystems', i, 'device']
    if (listOf(disk.partitions).length > 0) notes.warning(place, 'filesystem overwrites partitioned device')
    else if (filesystem.wipeFilesystem !== true && disk.wipeTable === true)
      notes.warning(place, 'device matches disk with wipeTable enabled; filesystem will be wiped')
  })
}
