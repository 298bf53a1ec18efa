import type { Warning } from '../runbook/step.ts'
import { marks, paint, wrap } from './ink.ts'
import { oneLine } from './live-fit.ts'
import type { Paper } from './view.ts'

/** A warning and the step that gave it. */
export interface StepWarning {
  title: string
  warning: Warning
}

/** A section of its own: what is no failure, and should be known. No lines where there is nothing. */
export function warningLines(
  warnings: readonly StepWarning[],
  paper: Pick<Paper, 'columns' | 'colour'>,
): string[] {
  if (warnings.length === 0) return []
  const ink = paint(paper.colour)
  return [
    ink.yellow(ink.bold('Warnings')),
    ...warnings.flatMap(({ title, warning: { message, code, remedy } }) => [
      wrap(
        `  ${ink.yellow(marks.warning)} ${oneLine(title)}: ${oneLine(message)} [${code}]`,
        paper.columns,
        4,
      ),
      ink.dim(wrap(`    What to do: ${oneLine(remedy)}`, paper.columns, 6)),
    ]),
  ]
}
