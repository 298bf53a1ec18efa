import { marks, paint, wrap } from './ink.ts'
import { oneLine } from './live-fit.ts'
import type { Paper } from './view.ts'

/** What was found out about a NAS, a line for each question. */
export function showInspection(
  {
    nas,
    answers,
    recording,
  }: {
    nas: string
    answers: { about: string; says: string; warns?: true }[]
    recording?: string
  },
  page: Pick<Paper, 'columns' | 'colour'>,
): string {
  const ink = paint(page.colour)
  const lines = answers.map(({ about, says, warns }) =>
    wrap(
      `${warns ? ink.yellow(marks.warning) : ' '} ${ink.bold(oneLine(about))}: ${oneLine(says)}`,
      page.columns,
      4,
    ),
  )
  return `${[
    oneLine(nas),
    ...lines,
    ...(recording === undefined
      ? []
      : ['', `Written, without your names: ${oneLine(recording)}. Read it before you give it away.`]),
  ].join('\n')}\n`
}
