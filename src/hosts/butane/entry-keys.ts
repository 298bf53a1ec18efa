import type { Struct, StructValue, Type, Value } from './go-types.ts'

/** What tells the entries of a list apart: no two may have the same, and merging puts those that have together. */
export function keyOf(type: Type, value: Value): string {
  if (type.kind !== 'struct') return value as string
  const entry = value as StructValue
  switch (type.plainName) {
    case 'Directory':
    case 'File':
    case 'Link':
      return entry.path as string
    case 'Disk':
    case 'Filesystem':
      return entry.device as string
    case 'Partition':
      if (entry.number !== 0) return `number:${entry.number}`
      return entry.label === undefined ? '' : `label:${entry.label}`
    case 'Tang':
      return entry.url as string
    case 'Resource':
    case 'ConfigReference':
    case 'CaReference':
      return (entry.source as string | undefined) ?? ''
    default:
      return entry.name as string
  }
}

/** Lists of a struct whose entries may come twice. */
export function ignoredDuplicates(type: Struct): readonly string[] {
  switch (type.plainName) {
    case 'File':
      return ['append']
    case 'Filesystem':
      return ['options', 'mountOptions']
    case 'Luks':
    case 'Raid':
      return ['options']
    default:
      return []
  }
}

/** Lists of a struct that must not have an entry in common have the same name here. */
export function sharedList(type: Struct, key: string): string {
  if (type.plainName === 'Storage' && ['directories', 'files', 'links'].includes(key)) return 'node'
  if (type.plainName === 'KernelArguments') return 'argument'
  return key
}
