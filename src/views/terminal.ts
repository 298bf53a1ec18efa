import { closeSync, openSync, readSync } from 'node:fs'
import type { ConsentDesk } from '../runbook/consent.ts'
import { linesView } from './lines.ts'
import { ndjsonInto } from './ndjson.ts'
import { showPlan, showVictims } from './plan.ts'
import { type Paper, together, type View } from './view.ts'

/** What people read goes to stderr, so that stdout holds what programs read. */
export function terminal(): Paper {
  const { stderr, env } = process
  return {
    write: text => {
      stderr.write(text)
    },
    columns: stderr.columns ?? (Number(env.COLUMNS) || 100),
    colour: stderr.isTTY === true && env.NO_COLOR === undefined,
  }
}

/** The view for this terminal, and the machine-readable one beside it where a file is named. */
export function chooseView(options: { jsonInto?: string | undefined }): View {
  const human = linesView(terminal())
  return options.jsonInto === undefined ? human : together(human, ndjsonInto(options.jsonInto))
}

/** Writes text for people. */
export function tell(text: string): void {
  terminal().write(text)
}

/**
 * Shows what would be destroyed and wants the name of each victim typed. Where nobody can answer, nobody agreed.
 */
export const askAtTerminal: ConsentDesk = async ({ victims, plan }) => {
  const paper = terminal()
  if (!process.stdin.isTTY) return undefined
  if (plan) paper.write(`${showPlan(plan, paper)}\n`)
  else paper.write(`${showVictims(victims, paper)}\n`)
  paper.write('\nTo agree, type the name of each, exactly as it stands above. Anything else means no.\n')
  for (const victim of victims) {
    paper.write(`  ${victim.kind} ${victim.name}: `)
    if (readLine() !== victim.name) {
      paper.write('  That is not it. Nothing was changed.\n')
      return undefined
    }
  }
  return { by: process.env.USER ?? 'unknown', how: 'typed' }
}

/** One line from the terminal, synchronously: nothing else may happen while a person decides. */
function readLine(): string {
  const fd = openSync('/dev/tty', 'r')
  const byte = Buffer.alloc(1)
  let text = ''
  try {
    while (readSync(fd, byte, 0, 1, null) === 1 && byte[0] !== 10) text += byte.toString('latin1')
  } finally {
    closeSync(fd)
  }
  return Buffer.from(text, 'latin1').toString('utf8').trim()
}
