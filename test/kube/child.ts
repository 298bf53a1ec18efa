import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import { beginRun, type Reach, resumeRun, type SessionOptions } from '../../runbooks/session.ts'
import { keepLab } from '../../src/lab/keeper.ts'
import { toFault } from '../../src/runbook/fault.ts'
import type { JournalRecord } from '../../src/runbook/replay.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'

/**
 * One process's part of a recovery against a real control plane: `node child.js begin|resume FILE LAB FOLDER ONLY DEATH`.
 * Runs are kept below XDG_STATE_HOME. With DEATH `first` it ends itself with SIGKILL as soon as it has come a step further:
 * right after an effect, or after a record of the phases in ONLY that says something new. What it told lies in FOLDER.
 *
 * Exit codes: 0 finished, 4 it stopped with failures, 5 it could not begin.
 */
const [part = 'begin', file = '', lab = '', folder = '', only = '', death = ''] = process.argv.slice(2)
const phases = only === '' ? undefined : only.split(',')
const never = new AbortController().signal
const tell = (name: string, value: unknown) =>
  appendFileSync(join(folder, name), `${JSON.stringify(value)}\n`)

const kept = (await keepLab(lab, { start: false }))!

const reach: Reach = async cluster => {
  return {
    ...whereaboutsOf(kept, cluster),
    // Real controllers take the time that they take.
    scaleLimit: limitMs => Math.min(limitMs, 120_000),
  }
}

const session: SessionOptions = {
  stop: never,
  now: never,
  sink(event) {
    tell('events.ndjson', event)
    // The lab has hands: what a person would be asked to do at a machine is done there.
    if (event.code === 'hand-needed') void kept.order('stick', { name: event.subject })
  },
  consent: async () => ({ by: 'a test', how: 'rehearsed' }),
  lockTimeoutMs: 0,
  program: 'test',
  onPoint(point) {
    if (death !== 'first') return
    const step = /^after-effect (\S+)/.exec(point)?.[1]
    const record = /^after record (\d+)/.exec(point)?.[1]
    if ((step !== undefined && isOurs(step)) || (record !== undefined && isNew(Number(record)))) {
      tell('deaths.ndjson', point)
      process.kill(process.pid, 'SIGKILL')
    }
  },
}

try {
  const { state, failures } =
    part === 'begin'
      ? await beginRun(file, reach, 'rehearsal', { ...session, ...(phases ? { only: phases } : {}) })
      : await resumeRun(undefined, () => reach, { ...session, accept: [], redo: [] })
  for (const { step, fault } of failures) tell('faults.ndjson', { step, ...fault.toJSON() })
  process.exitCode = state === 'finished' ? 0 : 4
} catch (thrown) {
  tell('faults.ndjson', toFault(thrown, 'the test').toJSON())
  process.exitCode = 5
}

/** Of the phases at whose every record we die. */
function isOurs(step: string): boolean {
  return /^(kubernetes|bootstrap|applications)\//.test(step) || /^volumes\/let-through/.test(step)
}

/** A record that a process before us did not write in other words: an intent, or what came of it. */
function isNew(seq: number): boolean {
  const lines = readFileSync(openRunFolder(stateFolder()).journal, 'utf8').trimEnd().split('\n')
  const record = JSON.parse(lines[seq - 1] ?? '{}') as JournalRecord & { step?: string; how?: string }
  if (record.step === undefined || !isOurs(record.step)) return false
  const before = lines.slice(0, seq - 1).map(line => JSON.parse(line) as { kind: string; step?: string })
  return !before.some(r => r.kind === record.kind && r.step === record.step)
}
