import { type Entry, type Notes, notesInto } from './entries.ts'
import type { StructValue, Value } from './go-types.ts'
import { inlineIgnition } from './inline-ignition.ts'
import { type Path, showPath } from './places.ts'
import { templateOf } from './quadlets.ts'
import type { Spec } from './specs.ts'
import { walkValue } from './walk.ts'

/** What Butane itself has to say of a config, before it is translated. */
export function butaneProblems(spec: Spec, source: StructValue): Entry[] {
  const list: Entry[] = []
  const notes = notesInto(list, 'source')
  walkValue(spec.schema, source, [], (type, value, path) => {
    if (type.kind !== 'struct') return
    const check = checks[type.plainName]
    if (check) list.push(...(check(value as StructValue, path, notes, spec) ?? []))
  })
  return list
}

type Check = (value: StructValue, path: Path, notes: Notes, spec: Spec) => Entry[] | undefined

const listOf = (value: Value) => (value as Value[] | undefined) ?? []
const empty = (value: Value) => value === undefined || value === ''

const decimalMode =
  'unreasonable mode would be reasonable if specified in octal; remember to add a leading zero'

const checks: Record<string, Check> = {
  Config: (config, path, notes, spec) => {
    if (spec.variant === 'fcos' && spec.minor >= 6) checkFcosStorage(config, path, notes)
    return undefined
  },

  FileContents: (contents, path, notes) => {
    if (contents.inline !== undefined && contents.source !== undefined)
      notes.error([...path, 'inline'], tooManySources)
    return undefined
  },

  Resource: (resource, path, notes, spec) => {
    const given = ['local', 'inline', 'source'].filter(key => resource[key] !== undefined)
    if (given.length > 1) {
      notes.error([...path, given.at(-1)!], tooManySources)
      return undefined
    }
    if (!showPath(path).startsWith('$.ignition.config') || given[0] !== 'inline') return undefined
    const { entries, fault } = inlineIgnition(resource.inline as string, path, spec)
    if (fault === undefined) return entries
    return [...entries, { severity: 'error', text: fault, path: [...path, 'inline'], of: 'source' }]
  },

  Filesystem: (filesystem, path, notes, spec) => {
    if (filesystem.with_mount_unit !== true) return undefined
    const noPath = () => {
      notes.error([...path, 'path'], 'path is required if with_mount_unit is true and format is not swap')
    }
    if (spec.part < 4 && empty(filesystem.path)) noPath()
    if (empty(filesystem.format))
      notes.error([...path, 'format'], 'format is required if with_mount_unit is true')
    else if (spec.part >= 4 && filesystem.format !== 'swap' && empty(filesystem.path)) noPath()
    return undefined
  },

  Directory: (directory, path, notes) => {
    if (isDecimalMode(directory.mode, true)) notes.warning([...path, 'mode'], decimalMode)
    return undefined
  },

  File: (file, path, notes) => {
    if (isDecimalMode(file.mode, false)) notes.warning([...path, 'mode'], decimalMode)
    return undefined
  },

  Tree: (tree, path, notes) => {
    if (tree.local === '') notes.error(path, 'local is required')
    return undefined
  },

  Unit: checkUnitSources,
  Dropin: checkUnitSources,

  Quadlet: (quadlet, path, notes) => {
    const name = quadlet.name as string
    if (!/\.(?:container|volume|network|kube|image|build|pod|artifact)$/.test(name)) {
      notes.error(
        [...path, 'name'],
        'unsupported file extension for quadlet: must be one of .container, .volume, .network, .kube, .image, .build, .pod, or .artifact',
      )
      return undefined
    }
    if (templateOf(name) === undefined) checkUnitSources(quadlet, path, notes)
    else
      for (const key of ['contents', 'contents_local'])
        if (quadlet[key] !== undefined)
          notes.error([...path, key], 'template instances cannot have contents or contents_local')
    return undefined
  },

  BootDevice: (device, path, notes, spec) => {
    checkLayout(device, path, notes, spec)
    checkMirror(device.mirror as StructValue, [...path, 'mirror'], notes)
    return undefined
  },

  BootDeviceLuks: (luks, path, notes, spec) => {
    if (spec.minor < 7 || empty(luks.device)) return undefined
    const pin = listOf(luks.tang).some(t => Object.values(t as StructValue).some(v => !empty(v) || v === ''))
    const tang = pin && listOf(luks.tang).some(t => isSomePin(t as StructValue))
    const cex = (luks.cex as StructValue).enabled === true
    if (!tang && luks.tpm2 !== true && !cex) notes.error([...path, 'luks'], 'no method specified for luks')
    return undefined
  },

  BootDeviceMirror: (mirror, path, notes) => {
    checkMirror(mirror, path, notes)
    return undefined
  },

  GrubUser: (user, path, notes) => {
    if (user.name === '') notes.error([...path, 'name'], 'field "name" is required')
    if (empty(user.password_hash))
      notes.error([...path, 'password_hash'], 'field "password_hash" is required')
    return undefined
  },
}

const tooManySources = 'only one of the following can be set: inline, local, source'

function isSomePin(pin: StructValue): boolean {
  return pin.url !== '' || pin.thumbprint !== undefined || pin.advertisement !== undefined
}

function checkUnitSources(unit: StructValue, path: Path, notes: Notes): undefined {
  if (unit.contents !== undefined && unit.contents_local !== undefined)
    notes.error([...path, 'contents_local'], 'only one of the following can be set: contents, contents_local')
}

function checkMirror(mirror: StructValue, path: Path, notes: Notes): void {
  if (listOf(mirror.devices).length === 1)
    notes.error([...path, 'devices'], 'mirroring requires at least two devices')
}

function checkFcosStorage(config: StructValue, path: Path, notes: Notes): void {
  const storage = config.storage as StructValue
  const bootDevice = config.boot_device as StructValue
  const mirrored = listOf((bootDevice.mirror as StructValue).devices)
  listOf(storage.disks).forEach((item, i) => {
    const disk = item as StructValue
    if (disk.device === '/dev/disk/by-id/coreos-boot-disk' || disk.wipe_table === true) return
    if (mirrored.includes(disk.device)) return
    listOf(disk.partitions).forEach((part, p) => {
      const { number, label } = part as StructValue
      if (number === 0 && label !== undefined)
        notes.warning(
          [...path, 'storage', 'disks', i, 'partitions', p, 'number'],
          'partitions cannot be reused by label; number must be specified except on boot disk (/dev/disk/by-id/coreos-boot-disk) or when wipe_table is true',
        )
    })
  })
  listOf(storage.filesystems).forEach((item, i) => {
    const filesystem = item as StructValue
    if (filesystem.path === undefined || filesystem.with_mount_unit !== true) return
    if (!/^\/(?:etc|var)(?:\/|$)/.test(filesystem.path as string))
      notes.error(
        [...path, 'storage', 'filesystems', i, 'path'],
        'path must be under /etc or /var if with_mount_unit is true',
      )
  })
}

function checkLayout(device: StructValue, path: Path, notes: Notes, spec: Spec): void {
  const layout = device.layout as string | undefined
  const luks = device.luks as StructValue
  const mirrored = listOf((device.mirror as StructValue).devices).length > 0
  if (mirrored && layout === undefined) {
    const say = spec.minor >= 7 ? notes.error : notes.warning
    say([...path, 'mirror'], 'boot_device.layout should be specified when boot_device.mirror is specified')
  }
  const at = [...path, 'layout']
  if (layout !== undefined && !['aarch64', 'ppc64le', 'x86_64'].includes(layout)) {
    if (spec.minor < 6) notes.error(at, 'layout must be one of: aarch64, ppc64le, x86_64')
    else checkMainframeLayout(layout, luks.device as string | undefined, at, notes)
  }
  if (spec.minor < 6) return
  if (layout?.startsWith('s390x') && mirrored)
    notes.error(at, 'mirroring not supported on layouts: s390x-eckd, s390x-zfcp, s390x-virt')
  if ((luks.cex as StructValue).enabled !== true) return
  const mismatch = 'when using cex the targeted architecture must match s390x'
  if (layout === undefined) notes.error([...path, 'luks', 'cex'], mismatch)
  else if (!layout.startsWith('s390x')) notes.error(at, mismatch)
  if (listOf(luks.tang).length > 0 || luks.tpm2 === true)
    notes.error([...path, 'luks'], 'cannot use cex with clevis')
}

function checkMainframeLayout(layout: string, device: string | undefined, at: Path, notes: Notes): void {
  const forms: Record<string, RegExp> = { 's390x-eckd': /\/dev\/dasd[a-z]$/, 's390x-zfcp': /\/dev\/sd[a-z]$/ }
  const form = forms[layout]
  if (layout === 's390x-virt') return
  if (!form)
    notes.error(at, 'layout must be one of: aarch64, ppc64le, s390x-eckd, s390x-virt, s390x-zfcp, x86_64')
  else if (device === undefined || device === '')
    notes.error(at, 'device is required for layouts: s390x-eckd, s390x-zfcp')
  else if (!form.test(device))
    notes.error(
      at,
      'device name must start with /dev/dasd on s390x-eckd layout or /dev/sd on s390x-zfcp layout',
    )
}

/** Whether a mode makes little sense, and would make sense if its digits were octal. */
export function isDecimalMode(mode: Value, directory: boolean): boolean {
  if (typeof mode !== 'number' || mode < 0 || mode > 7777) return false
  const digits = String(mode).padStart(4, '0')
  if (/[89]/.test(digits)) return false
  return !isTypicalMode(mode, directory) && isTypicalMode(Number.parseInt(digits, 8), directory)
}

function isTypicalMode(mode: number, directory: boolean): boolean {
  if (mode === 0) return true
  let [hadRead, hadWrite, hadExecute] = [false, false, false]
  // From others to the owner: whoever is closer has at least the rights of those who are farther away.
  for (const rights of [mode & 7, (mode >> 3) & 7, (mode >> 6) & 7]) {
    const read = (rights & 4) !== 0
    const write = (rights & 2) !== 0
    const execute = (rights & 1) !== 0
    if ((!read && hadRead) || (!write && hadWrite) || (!execute && hadExecute)) return false
    if (execute && hadRead && !hadExecute) return false
    if ((write || execute) && !read) return false
    hadRead ||= read
    hadWrite ||= write
    hadExecute ||= execute
  }
  if (!hadRead) return false
  if (directory) return hadExecute && (mode & 0o4000) === 0 && ((mode & 0o3000) === 0 || hadWrite)
  if ((mode & 0o6000) !== 0 && (!hadExecute || (mode & 2) !== 0)) return false
  return (mode & 0o1000) === 0
}
