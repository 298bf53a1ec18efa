import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromScratch } from '../../runbooks/from-scratch.ts'
import { planRun } from '../../runbooks/plan-run.ts'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import { bootstrapManifests } from '../../runbooks/render.ts'
import { beginRun, resumeRun, type SessionOptions } from '../../runbooks/session.ts'
import type { Reach } from '../../runbooks/whereabouts.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { keepLab } from '../../src/lab/keeper.ts'
import { toFault } from '../../src/runbook/fault.ts'
import { onlyPhases } from '../../src/runbook/only-phases.ts'
import { isOurs, recordsOfRun } from './harness/records.ts'
import type { Death } from './harness/recovery.ts'

/**
 * One process's part of a recovery against a real control plane: `node child.js plan|begin|resume FILE LAB FOLDER ONLY DEATH LIMIT
 * PACE`.
 * Runs are kept below XDG_STATE_HOME. With DEATH `first` it ends itself with SIGKILL as soon as it has come a step further:
 * right after an effect, or after a record of the phases in ONLY that says something new; with `after-effect STEP` there. No step takes longer than LIMIT ms.
 * What it told lies in FOLDER.
 *
 * Exit codes: 0 finished, 4 it stopped with failures, 5 it could not begin.
 */
const [part = 'begin', file = '', lab = '', folder = '', only = '', death = '', limit = '', pace = ''] =
  process.argv.slice(2)
const phases = only === '' ? undefined : only.split(',')
const never = new AbortController().signal
const tell = (name: string, value: unknown) =>
  appendFileSync(join(folder, name), `${JSON.stringify(value)}\n`)

const kept = (await keepLab(lab, { start: false }))!
const die = (death: Death) => {
  tell('deaths.ndjson', death)
  process.kill(process.pid, 'SIGKILL')
}

const reach: Reach = async (cluster, folder) => {
  return {
    ...whereaboutsOf(kept, cluster),
    // A home with a kit has its bootstrap rendered as in earnest; of others it lies there rendered.
    ...(cluster.entry.kit === undefined
      ? {}
      : { manifests: (part, signal) => bootstrapManifests(cluster, part, folder.path, signal) }),
    // Real controllers take the time that they take.
    // In the tests' network nobody answers but who must.
    asksGit: cluster.entry.gitops.serve !== undefined,
    pace: Number(pace),
    scaleLimit: limitMs => Math.min(limitMs, Number(limit)),
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
    if (death !== '' && point === death) die({ point, records: [] })
    if (death !== 'first') return
    const step = /^after-effect (\S+)/.exec(point)?.[1]
    const seq = /^after record (\d+)/.exec(point)?.[1]
    if (seq !== undefined) {
      const records = recordsOfRun()
      const before = records.slice(0, Number(seq) - 1)
      // What is written in one flush is there together or not at all, so it is died at together.
      const written = records.slice(Number(seq) - 1).filter(record => record !== '')
      if (records[Number(seq) - 1] !== '' && written.some(record => !before.includes(record)))
        die({ point, records: written })
    } else if (step !== undefined && isOurs(step)) die({ point, records: [] })
  },
}

try {
  if (part === 'plan') {
    const cluster = loadCluster(file)
    const book = phases === undefined ? fromScratch : onlyPhases(fromScratch, phases)
    const where = await reach(cluster, { run: '', path: '', journal: '' })
    tell('plan.ndjson', await planRun(cluster, where, never, book))
    process.exit(0)
  }
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
