import { type Entry, type Notes, notesInto } from './entries.ts'
import type { Struct, StructValue, Value } from './go-types.ts'
import {
  checkDisk,
  checkFilesystem,
  checkLuks,
  checkPartition,
  checkRaid,
  pathFault,
} from './ignition-disk-checks.ts'
import { checkDirectory, checkFile, checkNode, checkStorage } from './ignition-node-checks.ts'
import { checkDropin, checkSystemd, checkUnit } from './ignition-unit-checks.ts'
import {
  checkProxy,
  checkResource,
  checkTang,
  checkVerification,
  sourceFault,
  urlFault,
} from './ignition-url-checks.ts'
import type { Path } from './places.ts'
import { semanticVersion } from './semantic-version.ts'
import { walkValue } from './walk.ts'

/** One check of one struct; `minor` is that of Ignition's spec. */
export type IgnitionCheck = (value: StructValue, path: Path, notes: Notes, minor: number) => void

/**
 * What Ignition itself has to say of a config.
 * @param foreign the config was not made here: its version must be looked at, too.
 */
export function ignitionProblems(type: Struct, config: StructValue, minor: number, foreign = false): Entry[] {
  const list: Entry[] = []
  const notes = notesInto(list, 'compiled')
  walkValue(type, config, [], (here, value, path) => {
    if (foreign && here.kind === 'struct' && here.plainName === 'Ignition')
      notes.error([...path, 'version'], versionFault((value as StructValue).version as string, minor))
    if (here.kind === 'struct') checks[here.plainName]?.(value as StructValue, path, notes, minor)
    else if (here.kind === 'string' && here.name.endsWith('.Device'))
      notes.error(path, pathFault(value as string))
  })
  return list
}

/** What is wrong with the version of a config, for an Ignition of one spec. */
export function versionFault(version: string, minor: number): string | undefined {
  const known = semanticVersion(version)
  if (known === undefined) return "invalid config version (couldn't parse)"
  return known === `3.${minor}.0${minor === 7 ? '-experimental' : ''}`
    ? undefined
    : 'unsupported config version'
}

const checkOwner: IgnitionCheck = (owner, path, notes) => {
  if (owner.id !== undefined && owner.name !== undefined && owner.name !== '')
    notes.error(path, 'cannot set both id and name')
}

const listOf = (value: Value) => (value as StructValue[] | undefined) ?? []

const checks: Record<string, IgnitionCheck> = {
  Config: checkUnitPaths,
  IgnitionConfig: (config, path, notes, minor) => {
    if (minor === 0) return
    listOf(config.merge).forEach((resource, i) => {
      notes.error([...path, 'merge', i], sourceFault(resource, minor))
    })
  },
  TLS: (tls, path, notes, minor) => {
    if (minor === 0) return
    listOf(tls.certificateAuthorities).forEach((resource, i) => {
      notes.error([...path, 'certificateAuthorities', i], sourceFault(resource, minor))
    })
  },
  CaReference: (reference, path, notes, minor) => {
    notes.error([...path, 'source'], urlFault(reference.source as string, minor))
  },
  ConfigReference: (reference, path, notes, minor) => {
    const source = reference.source as string | undefined
    if (source !== undefined && source !== '') notes.error([...path, 'source'], urlFault(source, minor))
  },
  Proxy: checkProxy,
  Resource: checkResource,
  FileContents: checkResource,
  Verification: checkVerification,
  HTTPHeader: (header, path, notes) => {
    if (header.name === '') notes.error([...path, 'name'], "HTTP header name can't be empty")
    if (header.value === '') notes.error([...path, 'value'], 'unable to parse HTTP header')
  },
  Tang: checkTang,
  Storage: checkStorage,
  File: checkFile,
  Directory: checkDirectory,
  Link: checkNode,
  NodeUser: checkOwner,
  NodeGroup: checkOwner,
  Disk: checkDisk,
  Partition: checkPartition,
  Raid: checkRaid,
  Filesystem: checkFilesystem,
  Luks: checkLuks,
  ClevisCustom: checkCustomPin,
  Custom: checkCustomPin,
  Systemd: checkSystemd,
  Unit: checkUnit,
  Dropin: checkDropin,
}

/** Files must not be where units are written. */
function checkUnitPaths(config: StructValue, path: Path, notes: Notes): void {
  const folder = '/etc/systemd/system/'
  const taken = new Set<string>()
  for (const unit of listOf((config.systemd as StructValue).units)) {
    if (unit.contents !== undefined && unit.contents !== '') taken.add(`${folder}${unit.name}`)
    for (const dropin of listOf(unit.dropins))
      if (dropin.contents !== undefined && dropin.contents !== '')
        taken.add(`${folder}${unit.name}.d/${dropin.name}`)
  }
  for (const kind of ['files', 'directories', 'links'])
    listOf((config.storage as StructValue)[kind]).forEach((node, i) => {
      if (taken.has(node.path as string))
        notes.error([...path, 'storage', kind, i, 'path'], 'path conflicts with systemd unit or dropin')
    })
}

function checkCustomPin(custom: StructValue, path: Path, notes: Notes, minor: number): void {
  const pin = (custom.pin as string | undefined) ?? ''
  const config = (custom.config as string | undefined) ?? ''
  if (pin === '' && config === '' && (minor < 3 || custom.needsNetwork !== true)) return
  const known = ['tpm2', 'tang', 'sss'].includes(pin)
  if (minor < 3) {
    if (!known) notes.error([...path, 'pin'], 'unsupported clevis pin')
  } else if (pin === '') notes.error([...path, 'pin'], 'missing required custom clevis pin')
  else if (minor < 6 && !known) notes.error([...path, 'pin'], 'unsupported clevis pin')
  if (config === '') notes.error([...path, 'config'], 'missing required custom clevis config')
}
