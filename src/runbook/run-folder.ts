import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Fault } from './fault.ts'
import { flushDirectory } from './journal.ts'

/** Where runs live: `$XDG_STATE_HOME/recover`, by default `~/.local/state/recover`. */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'recover')
}

/** The folder of one run: journal, snapshot of the cluster file, plan, log. Only its owner can look into it. */
export interface RunFolder {
  run: string
  path: string
  journal: string
}

/**
 * Names a new run so that names sort in the order in which runs began: `20261123-164312-ab3f`. One that begins in the same
 * second as the newest, or after a clock was set back, is named a second after that one.
 */
export function nameRun(at: Date, state: string): string {
  const runs = join(state, 'runs')
  const newest = existsSync(runs) ? readdirSync(runs).sort().at(-1) : undefined
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-/.exec(newest ?? '') ?? []
  const after =
    year === undefined ? 0 : Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) + 1000
  const named = new Date(Math.max(at.getTime(), after || 0))
  const digits = named.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
  return `${digits}-${randomBytes(2).toString('hex')}`
}

/**
 * Makes the folder of a new run, which only its owner can read.
 *
 * @param state the folder of all runs
 * @throws Fault `state-unwritable`
 */
export function createRunFolder(state: string, run: string): RunFolder {
  const runs = join(state, 'runs')
  try {
    mkdirSync(runs, { recursive: true, mode: 0o700 })
    mkdirSync(join(runs, run), { mode: 0o700 })
    flushDirectory(runs)
  } catch (cause) {
    throw new Fault({
      code: 'state-unwritable',
      blame: 'operator',
      message: `cannot make the run's folder ${join(runs, run)}; nothing was changed`,
      remedy: 'Make that folder writable, or set XDG_STATE_HOME to one that is',
      cause,
    })
  }
  return folder(state, run)
}

/** Opens the folder of `run`, or of the newest run when none is named. */
export function openRunFolder(state: string, run?: string): RunFolder {
  const runs = listRunFolders(state)
  const found = run === undefined ? runs.at(-1) : runs.find(r => r.run === run)
  if (found) return found
  throw new Fault({
    code: 'run-unknown',
    blame: 'operator',
    message: run === undefined ? `there is no run in ${state}` : `there is no run ${run} in ${state}`,
    remedy: 'Run `recover runs` to see which there are',
  })
}

/** All runs, oldest first. */
export function listRunFolders(state: string): RunFolder[] {
  const runs = join(state, 'runs')
  if (!existsSync(runs)) return []
  return readdirSync(runs)
    .sort()
    .map(run => folder(state, run))
    .filter(r => existsSync(r.journal))
}

function folder(state: string, run: string): RunFolder {
  const path = join(state, 'runs', run)
  return { run, path, journal: join(path, 'journal.ndjson') }
}
