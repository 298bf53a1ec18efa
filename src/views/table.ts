import type { Table } from '../runbook/step.ts'
import { paint, visible, wrap } from './ink.ts'
import { oneLine } from './live-fit.ts'
import type { Paper } from './view.ts'

/**
 * A table's lines. The last column is broken at blanks and goes on below itself; where the others leave it too little
 * room, each row becomes a line with the rest below it.
 */
export function tableLines(
  { columns, rows }: Table,
  paper: Pick<Paper, 'columns' | 'colour'>,
  indent: number,
): string[] {
  const ink = paint(paper.colour)
  const cells = rows.map(row => row.map(cell => oneLine(cell)))
  const broken = (text: string, hanging: number) => wrap(text, paper.columns, hanging).split('\n')
  const widths = columns.map((title, i) =>
    Math.max(visible(title), ...cells.map(row => visible(row[i] ?? ''))),
  )
  const first = indent + widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0)
  if (first > paper.columns * 0.6)
    return cells.flatMap(row => [
      ...broken(`${' '.repeat(indent)}${row.slice(0, 2).join('  ')}`, indent + 2),
      ...row
        .slice(2)
        .filter(cell => cell !== '')
        .flatMap(cell => broken(`${' '.repeat(indent + 2)}${cell}`, indent + 4))
        .map(line => ink.dim(line)),
    ])
  const line = (row: string[]) =>
    `${' '.repeat(indent)}${row.map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - visible(cell) + 2))).join('')}`
  return [ink.bold(line(columns)), ...cells.flatMap(row => broken(line(row), first))]
}
