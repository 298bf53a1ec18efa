import type { ConsentDesk } from '../runbook/consent.ts'
import type { Plan } from '../runbook/plan.ts'
import { marks, wrap } from './ink.ts'
import { linesView } from './lines.ts'
import { liveView } from './live.ts'
import { oneLine } from './live-fit.ts'
import type { Screen } from './live-screen.ts'
import { ndjsonInto } from './ndjson.ts'
import { showPlan, showVictims } from './plan.ts'
import { askLine } from './prompt.ts'
import { together, type View } from './view.ts'

/** What people read goes to stderr, so that stdout holds what programs read. */
export function terminal(): Screen {
  const { stderr, env } = process
  return {
    write: text => {
      stderr.write(text)
    },
    // A window may be resized at any time. Some terminals report 0 columns until they know better.
    get columns() {
      return stderr.columns || Number(env.COLUMNS) || 100
    },
    get rows() {
      return stderr.rows || Number(env.LINES) || 24
    },
    colour: stderr.isTTY === true && env.NO_COLOR === undefined,
  }
}

/**
 * The view for this terminal, and the machine-readable one beside it where a file is named. `plain` wants lines even
 * where the live view could be drawn.
 */
export function chooseView(options: { jsonInto?: string | undefined; plain?: boolean }): View {
  const screen = terminal()
  // Events that go to a device, most likely this very terminal, would be written into the frame.
  const shared = options.jsonInto?.startsWith('/dev/') ?? false
  const human = options.plain || shared || !drawable(process) ? linesView(screen) : liveView(screen)
  return options.jsonInto === undefined ? human : together(human, ndjsonInto(options.jsonInto))
}

/**
 * Whether rows can be drawn over themselves: a terminal with a cursor, watched by a person. CI logs keep every frame;
 * `CI=false` is how some people switch that off.
 */
export function drawable(process: {
  stderr: { isTTY?: boolean }
  env: Record<string, string | undefined>
}): boolean {
  const { stderr, env } = process
  const inCi = env.CI !== undefined && env.CI !== '' && env.CI !== 'false'
  return stderr.isTTY === true && !inCi && env.TERM !== 'dumb' && !env.NO_LIVE
}

/**
 * Whoever read along may be gone: the pipe's other end (`| head`), or the terminal. What is done does not depend on being
 * heard, and a recovery must not end because of it. Anything else that keeps output from being written ends the process.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
    })
}

/** Shows a plan. */
export function tellPlan(plan: Plan): void {
  const screen = terminal()
  screen.write(showPlan(plan, screen))
}

/** Writes lines, broken at blanks where a person reads them on a terminal; a pipe gets each whole. */
export function tellLines(lines: string[]): void {
  const { columns, write } = terminal()
  const page = process.stderr.isTTY === true ? lines.map(line => wrap(line, columns, 4)) : lines
  write(`${page.join('\n')}\n`)
}

/** Writes what is made for this terminal's width and colours. */
export function tellOn(make: (page: { columns: number; colour: boolean }) => string): void {
  const screen = terminal()
  screen.write(make(screen))
}

/** What is still looked at, for whoever sits before a terminal: a plan or a check-up may have to wait for silence. */
export function tellWaiting(titles: string[]): void {
  if (process.stderr.isTTY !== true || titles.length === 0) return
  const { columns, write } = terminal()
  write(`${wrap(`${marks.waits} still looking: ${titles.map(oneLine).join('; ')}`, columns, 2)}\n`)
}

/** Writes text for people. */
export function tell(text: string): void {
  terminal().write(text)
}

/**
 * Shows what would be destroyed and wants the name of each victim typed. Where nobody can answer, nobody agreed. Ctrl-C is
 * no, and stops the run besides.
 */
export const askAtTerminal: ConsentDesk = async ({ victims, plan }) => {
  const paper = terminal()
  if (!process.stdin.isTTY) return undefined
  if (plan) paper.write(`${showPlan(plan, paper)}\n`)
  else paper.write(`${showVictims(victims, paper)}\n`)
  paper.write('\nTo agree, type the name of each, exactly as it stands above. Anything else means no.\n')
  for (const victim of victims) {
    const name = oneLine(victim.name)
    paper.write(`  ${oneLine(victim.kind)} ${name}: `)
    const typed = askLine(paper.write, () => process.emit('SIGINT'))
    if (typed === undefined) return undefined
    if (typed !== name) {
      paper.write('  That is not it. Nothing was changed.\n')
      return undefined
    }
  }
  return { by: process.env.USER ?? 'unknown', how: 'typed' }
}

/**
 * Shows the certificate of a server that nobody knows yet, and takes `yes` alone for an answer. Where nobody can answer it
 * is not trusted, and not even shown.
 */
export function agreesToCertificate({ url, fingerprint }: { url: string; fingerprint: string }): boolean {
  const { write } = terminal()
  if (!process.stdin.isTTY) return false
  write(
    `What answers at ${oneLine(url)} shows the certificate with the fingerprint\n\n  ${oneLine(fingerprint)}\n\n` +
      'From a network that you trust this is your NAS; its certificate stands in DSM under Control Panel, Security, Certificate.\n' +
      'It is written into recover.yaml, and nothing is ever sent to a server that shows another one. Is it yours? (yes/no) ',
  )
  return askLine(write, () => process.emit('SIGINT')) === 'yes'
}
