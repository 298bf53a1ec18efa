import type { Warning } from '../runbook/step.ts'
import { marks, paint, wrap } from './ink.ts'
import { tableLines } from './table.ts'
import type { Paper } from './view.ts'
import { warningLines } from './warnings.ts'

/** What was looked at, and whether a recovery could begin. */
export interface ShownCheckup {
  cluster: string
  recoverable: boolean
  checks: {
    title: string
    state: 'fine' | 'warns' | 'stops' | 'unknown'
    says: string
    code?: string
    remedy?: string
    warnings: Warning[]
  }[]
}

const words = { fine: 'fine', warns: 'warns', stops: 'STOPS', unknown: 'not known' } as const

/** A table of all checks, the warnings with what to do, and the verdict. */
export function showCheckup(
  { cluster, recoverable, checks }: ShownCheckup,
  paper: Pick<Paper, 'columns' | 'colour'>,
): string {
  const ink = paint(paper.colour)
  const rows = checks.map(({ state, title, says, code, remedy }) => [
    words[state],
    title,
    state === 'stops' ? `${says} [${code}]. What to do: ${remedy}` : says,
  ])
  const warnings = checks.flatMap(({ title, warnings }) => warnings.map(warning => ({ title, warning })))
  const stops = checks.filter(c => c.state === 'stops').length
  const beware =
    warnings.length === 0 ? '' : `, with ${warnings.length} warning${warnings.length === 1 ? '' : 's'}`
  const verdict = recoverable
    ? `${ink.green(marks.done)} The cluster ${cluster} could be recovered today${beware}.`
    : `${ink.red(marks.failed)} A recovery of the cluster ${cluster} would be stopped by ${stops} of ${checks.length} checks${beware}.`
  return `${[
    ...tableLines({ columns: ['', 'CHECK', 'WHAT WAS SEEN'], rows }, paper, 0),
    '',
    ...warningLines(warnings, paper),
    ...(warnings.length > 0 ? [''] : []),
    wrap(verdict, paper.columns, 2),
  ].join('\n')}\n`
}
