import { showTable } from './hosts.ts'
import { marks, paint, wrap } from './ink.ts'
import type { Paper } from './view.ts'

/** A row of the volume map, as it is drawn. */
interface ShownVolume {
  claim?: string
  volume?: string
  luns: { lun: string; sources: string[] }[]
  protocol?: 'iscsi' | 'nfs' | 'smb'
  sizeBytes?: number
  usedBytes?: number
  owner?: string
  question?: string
  says: string
  strategy?: string
  mayWrite?: string[]
}

/** A LUN or share that no claim has. */
interface ShownOwnerless {
  lun: string
  name: string
  kind: 'lun' | 'share'
  protocol: 'iscsi' | 'nfs' | 'smb'
  sizeBytes: number
  usedBytes?: number
  description: string
  formerly: { claim: string; source: string; where?: string }[]
}

/** Narrower than this, rows stand below each other: a LUN's uuid alone takes 36 columns. */
const tableFrom = 160

/** The volume map for a person: a table, what no claim owns, the questions that are open, and what was read. */
export function showVolumes(
  map: {
    volumes: ShownVolume[]
    ownerless?: ShownOwnerless[]
    sources: { name: string; volumes: number; remarks: string[] }[]
  },
  page: Pick<Paper, 'columns' | 'colour'>,
): string {
  const ink = paint(page.colour)
  const open = (volume: ShownVolume, text: string) =>
    volume.question === undefined ? text : ink.red(`${marks.blocked} ${text}`)
  const lines: string[] = []
  if (map.volumes.length === 0) lines.push('No source names a volume.')
  else if (page.columns < tableFrom)
    for (const v of map.volumes)
      lines.push(
        ink.bold([nameOf(v), sizesOf(v), v.owner, v.strategy].filter(Boolean).join('  ')),
        wrap(`  ${lunsOf(v)}`, page.columns, 4),
        ...(v.says === '' || v.says === v.strategy ? [] : [wrap(`  ${open(v, v.says)}`, page.columns, 4)]),
      )
  else {
    const titles = [
      'CLAIM',
      'SIZE',
      'USED',
      map.volumes.some(v => shareOf(v) !== '') ? 'LUN OR SHARE' : 'LUN',
      'AGREE',
      'AGAINST',
      'OWNER',
      'STRATEGY',
      'WHAT WOULD HAPPEN',
    ]
    const rows = map.volumes.map(v => [
      nameOf(v),
      v.sizeBytes === undefined ? '' : gibibytes(v.sizeBytes),
      v.usedBytes === undefined ? '' : gibibytes(v.usedBytes),
      v.luns[0]
        ? `${shareOf(v)}${v.luns[0].lun}`
        : v.strategy === 'new' || v.strategy === 'restore'
          ? ''
          : 'none',
      v.luns[0]?.sources.join(', ') ?? '',
      v.luns
        .slice(1)
        .map(l => `${l.lun} (${l.sources.join(', ')})`)
        .join(', '),
      v.owner ?? '',
      v.strategy ?? '',
      open(v, v.says),
    ])
    lines.push(showTable(titles, rows, page).trimEnd())
  }
  const shared = map.volumes.filter(v => v.mayWrite !== undefined)
  if (shared.length > 0)
    lines.push(
      '',
      'Who may write to shares by their NFS rules (who has one mounted no NAS tells):',
      ...shared.map(v => wrap(`  ${nameOf(v)}: ${v.mayWrite?.join(', ') || 'nobody'}`, page.columns, 4)),
    )
  if (map.ownerless && map.ownerless.length > 0)
    lines.push(
      '',
      'On the NAS, and of no claim:',
      ...map.ownerless.map(l => wrap(`  ${told(l)}`, page.columns, 4)),
    )
  const questions = map.volumes.flatMap(v => v.question ?? [])
  if (questions.length > 0)
    lines.push('', 'Open:', ...questions.map(q => ink.red(wrap(`  ${marks.blocked} ${q}`, page.columns, 4))))
  lines.push(
    '',
    ...map.sources.flatMap(s => [
      ink.dim(`${s.name}: ${s.volumes} ${s.volumes === 1 ? 'volume' : 'volumes'}`),
      ...s.remarks.map(r => ink.dim(wrap(`  ${r}`, page.columns, 4))),
    ]),
  )
  return `${lines.join('\n')}\n`
}

function nameOf(volume: ShownVolume): string {
  return volume.claim ?? `(${volume.volume ?? volume.luns[0]?.lun})`
}

function sizesOf({ sizeBytes, usedBytes }: { sizeBytes?: number; usedBytes?: number }): string {
  if (sizeBytes === undefined) return ''
  return usedBytes === undefined
    ? gibibytes(sizeBytes)
    : `${gibibytes(sizeBytes)}, ${gibibytes(usedBytes)} used`
}

function lunsOf(volume: ShownVolume): string {
  const { luns, protocol, strategy } = volume
  const kind = protocol === 'nfs' || protocol === 'smb' ? 'share' : 'LUN'
  return (
    luns.map(l => `${shareOf(volume)}${l.lun} (${l.sources.join(', ')})`).join(' or ') ||
    (strategy === 'new' || strategy === 'restore' ? `no ${kind} yet` : `no ${kind}`)
  )
}

/** `NFS share ` before the uuid of what is no LUN. */
function shareOf({ protocol }: Pick<ShownVolume, 'protocol'>): string {
  return protocol === 'nfs' || protocol === 'smb' ? `${protocol.toUpperCase()} share ` : ''
}

function told({ lun, name, protocol, sizeBytes, usedBytes, description, formerly }: ShownOwnerless): string {
  const sizes =
    sizeBytes === 0 ? '' : `, ${sizesOf({ sizeBytes, ...(usedBytes === undefined ? {} : { usedBytes }) })}`
  const once = formerly.map(f => `once ${f.claim}: ${f.where ?? f.source}`)
  const says = [...(description === '' ? [] : [`“${description}”`]), ...once]
  return `${shareOf({ protocol })}${name} (${lun}${sizes})${says.length > 0 ? `: ${says.join('; ')}` : ''}`
}

function gibibytes(bytes: number): string {
  return `${Math.round((bytes / 2 ** 30) * 10) / 10} GiB`
}
