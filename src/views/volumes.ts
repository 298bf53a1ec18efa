import { showTable } from './hosts.ts'
import { marks, paint, wrap } from './ink.ts'
import type { Paper } from './view.ts'

/** A row of the volume map, as it is drawn. */
interface ShownVolume {
  claim?: string
  volume?: string
  luns: { lun: string; sources: string[] }[]
  contradiction: boolean
  sizeBytes?: number
  owner?: string
  says: string
  strategy?: string
}

/** The volume map for a person: a table, what is not settled, what no claim owns, and what was read. */
export function showVolumes(
  map: {
    volumes: ShownVolume[]
    ownerless?: { lun: string; name: string; sizeBytes: number }[]
    sources: { name: string; volumes: number; remarks: string[] }[]
  },
  page: Pick<Paper, 'columns' | 'colour'>,
): string {
  const ink = paint(page.colour)
  const rows = map.volumes.map(v => [
    v.claim ?? `(${v.volume})`,
    v.sizeBytes === undefined ? '' : `${Math.round((v.sizeBytes / 2 ** 30) * 10) / 10} GiB`,
    v.luns.map(l => `${l.lun} (${l.sources.join(', ')})`).join(' or ') ||
      (v.strategy === 'new' ? '' : 'no LUN'),
    v.owner ?? '',
    v.contradiction || (v.luns.length === 0 && v.strategy !== 'new')
      ? ink.red(`${marks.blocked} ${v.says}`)
      : v.says,
  ])
  const narrow = page.columns < 140
  const table = narrow
    ? rows.flatMap(([claim = '', size, lun = '', owner, says = '']) => {
        return [
          ink.bold([claim, size, owner].filter(Boolean).join('  ')),
          wrap(`  ${lun}`, page.columns, 4),
          ...(says === '' ? [] : [wrap(`  ${says}`, page.columns, 4)]),
        ]
      })
    : [showTable(['CLAIM', 'SIZE', 'LUN (SOURCES)', 'OWNER', 'WHAT WOULD HAPPEN'], rows, page).trimEnd()]
  const lines = [
    ...(map.volumes.length === 0 ? ['No source names a volume.'] : table),
    ...((map.ownerless?.length ?? 0) > 0
      ? [
          '',
          'LUNs that no claim owns:',
          ...map.ownerless!.map(l => wrap(`  ${l.name} (${l.lun})`, page.columns, 4)),
        ]
      : []),
    '',
    ...map.sources.flatMap(s => [
      ink.dim(`${s.name}: ${s.volumes} ${s.volumes === 1 ? 'volume' : 'volumes'}`),
      ...s.remarks.map(r => ink.dim(wrap(`  ${r}`, page.columns, 4))),
    ]),
  ]
  return `${lines.join('\n')}\n`
}
