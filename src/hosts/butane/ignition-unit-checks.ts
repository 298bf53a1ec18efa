import { quoted } from './byte-text.ts'
import { extensionOf } from './go-path.ts'
import type { StructValue, Value } from './go-types.ts'
import type { IgnitionCheck } from './ignition-checks.ts'
import { readUnit } from './unit-file.ts'

const listOf = (value: Value) => (value as StructValue[] | undefined) ?? []

const unitExtensions = new Set([
  '.service',
  '.socket',
  '.device',
  '.mount',
  '.automount',
  '.swap',
  '.target',
  '.path',
  '.timer',
  '.snapshot',
  '.slice',
  '.scope',
])

export const checkUnit: IgnitionCheck = (unit, path, notes) => {
  const name = unit.name as string
  const contents = unit.contents as string | undefined
  if (!unitExtensions.has(extensionOf(name))) notes.error([...path, 'name'], 'invalid systemd unit extension')
  const place = [...path, 'contents']
  const read = readUnit(contents ?? '')
  if ('fault' in read) notes.error(place, read.fault)
  else if (unit.enabled === true && contents !== undefined && contents !== '')
    if (!read.sections.includes('Install'))
      notes.warning(
        place,
        `unit ${quoted(name)} is enabled, but has no install section so enable does nothing`,
      )
}

export const checkDropin: IgnitionCheck = (dropin, path, notes) => {
  const read = readUnit((dropin.contents as string | undefined) ?? '')
  if ('fault' in read) notes.error([...path, 'contents'], read.fault)
  if (extensionOf(dropin.name as string) !== '.conf')
    notes.error([...path, 'name'], 'invalid systemd drop-in extension')
}

/** Instances of a template are enabled in vain if the template has no section that says where. */
export const checkSystemd: IgnitionCheck = (systemd, path, notes) => {
  const units = new Map(listOf(systemd.units).map(u => [u.name as string, u]))
  listOf(systemd.units).forEach((unit, i) => {
    const name = unit.name as string
    const template = /^(.+?)@(.+?)\.service$/.exec(name)
    if (!template || unit.enabled !== true) return
    const templateName = `${template[1]}@.service`
    const contents = (units.get(templateName)?.contents as string | undefined) ?? ''
    if (contents === '') return
    const read = readUnit(contents)
    if ('fault' in read || read.sections.includes('Install')) return
    notes.warning(
      [...path, 'units', i, 'contents'],
      `template unit ${quoted(templateName)} for ${quoted(name)} doesn't have Install section`,
    )
  })
}
