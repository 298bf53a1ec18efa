import { existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { livingCluster } from '../../runbooks/begin.ts'
import { finalizeVolumes } from '../../runbooks/finalize-volumes.ts'
import type { Asked } from '../../runbooks/kit.ts'
import { planRun } from '../../runbooks/plan-run.ts'
import {
  planResumeAny,
  type RehearsalOptions,
  rehearse,
  resumeAny,
  whereaboutsOf,
} from '../../runbooks/rehearse.ts'
import { listRuns } from '../../runbooks/runs.ts'
import { beginRun, type RunResult, resumeRun, type SessionOptions } from '../../runbooks/session.ts'
import { syncVolumes } from '../../runbooks/sync-volumes.ts'
import type { Reach } from '../../runbooks/whereabouts.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { type KeptLab, keepLab } from '../../src/lab/keeper.ts'
import type { LabEndpoints } from '../../src/lab/lab.ts'
import { World } from '../../src/lab/world.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { hearChanges } from './change-requests.ts'
import type { WorldChange } from './place.ts'

/**
 * One process's part of a rehearsal, for the crash tests: `node child.js rehearse|resume|plan FOLDER POINT HOME [PHASE]`. Runs
 * are kept below XDG_STATE_HOME. Ends itself with SIGKILL at POINT, one or several a line each, whichever it meets first: `#N`
 * is the N-th record or effect that it meets; `every PATTERN` is any that no process of this run met before; other text names
 * a point by what it is, not by when it comes, since steps run side by side (`after intent hosts/install-flatcar[lithium]`,
 * `after-effect hosts/install-flatcar[lithium]`, `after note kubernetes/workers (3)`, its third in this life,
 * `after-change volumes/adopt[photos/library] nas Target enable`); nothing lets it run to its end. At `lab #N` it is the
 * process of its lab that is ended. The part `sync` gives the
 * claims that stand in the place of PHASE new disks in the cluster of the newest whole run, or goes on with that, while that
 * run's lab is up; the part `finalize` deletes what PHASE names in the same way. What it met and what it told lies in FOLDER
 * afterwards, one line each, whole up to the very point where it died.
 *
 * Exit codes: 0 finished, 3 there is no run to go on with, 4 it stopped with failures, 5 it could not begin.
 */
const [part = 'rehearse', folder = '', last = '', home = '', phase] = process.argv.slice(2)
const deaths = new Set(last.split('\n').filter(Boolean))
/** `every PATTERN`: the first point that fits and that no process of this run met before. */
const every = /^every (.*)$/m.exec(last)?.[1]
const former = new Set(every === undefined ? [] : linesOf('points'))
let met = 0
const times = new Map<string, number>()
const never = new AbortController().signal
const told = new Map<string, number>()
/** Written at once, since the next thing may be the end; a file stays open, since there are hundreds of lines. */
const tell = (file: string, line: string) => {
  const fd = told.get(file) ?? openSync(join(folder, file), 'a')
  told.set(file, fd)
  writeSync(fd, `${line}\n`)
}
const changes = hearChanges(what => meets(what))
const session: RehearsalOptions = {
  stop: never,
  now: never,
  sink: event => tell('events.ndjson', JSON.stringify(event)),
  consent: async () => undefined,
  lockTimeoutMs: 0,
  program: 'crash test',
  practise: false,
  faults: [],
  keep: keepChanged,
  onPoint(point) {
    met += 1
    const [when, step = ''] = point.split(' ')
    if (when === 'after-effect') changes.ends()
    meets(point.replace(/ record \d+/, ''), `#${met}`)
    if (when === 'before-effect') changes.begins(step)
  },
}

function meets(what: string, number?: string): void {
  const nth = (times.get(what) ?? 0) + 1
  times.set(what, nth)
  const name = nth === 1 ? what : `${what} (${nth})`
  tell('points', name)
  if (number !== undefined && deaths.has(`lab ${number}`)) endLab()
  const next = every !== undefined && !former.has(name) && new RegExp(every).test(name)
  if (next || deaths.has(name) || (number !== undefined && deaths.has(number)))
    process.kill(process.pid, 'SIGKILL')
}

function endLab(): void {
  const file = join(openRunFolder(stateFolder()).path, 'lab', 'lab.json')
  process.kill((JSON.parse(readFileSync(file, 'utf8')) as LabEndpoints).pid, 'SIGKILL')
}

try {
  if (part === 'plan') await plan()
  else {
    const { state, failures } =
      part === 'sync' || part === 'finalize'
        ? await onLivingCluster(part, (phase ?? '').split(','))
        : part === 'resume'
          ? await resumeAny(undefined, { ...session, accept: [], redo: [] })
          : await rehearse(home, { ...session, ...(phase === undefined ? {} : { only: [phase] }) })
    for (const { step, fault } of failures) tell('faults.ndjson', JSON.stringify({ step, ...fault.toJSON() }))
    process.exitCode = state === 'finished' ? 0 : 4
  }
} catch (thrown) {
  if (!(thrown instanceof Fault)) throw thrown
  tell('faults.ndjson', JSON.stringify(thrown.toJSON()))
  process.exitCode = thrown.code === 'run-unknown' ? 3 : 5
}

async function onLivingCluster(what: 'sync' | 'finalize', chosen: string[]): Promise<RunResult> {
  const book = what === 'sync' ? syncVolumes : finalizeVolumes
  const agreeing: SessionOptions = {
    ...session,
    consent: async () => ({ by: 'the crash test', how: 'rehearsed' }),
  }
  const newest = listRuns().at(-1)
  const whole = listRuns().findLast(r => existsSync(join(r.folder, 'lab', 'lab.json')))
  const lab = await keepLab(join(whole?.folder ?? '', 'lab'), { start: false })
  if (!lab) throw new Error('the lab does not run')
  const reach: Reach = async cluster => whereaboutsOf(lab, cluster)
  if (newest?.runbook === book.id && newest.state !== 'failed')
    return resumeRun(undefined, () => reach, { ...agreeing, accept: [], redo: [] })
  const file = join(home, 'recover.yaml')
  const asked: Asked =
    what === 'sync'
      ? livingCluster(file, 'rehearsal', { chosen, kubeconfig: undefined, context: undefined })
      : { chosen, atOnce: true }
  return beginRun(file, reach, 'rehearsal', { ...agreeing, book: book.id, asked })
}

/** The lab of a world that begins as FOLDER/world.json wants it. */
async function keepChanged(dir: string): Promise<KeptLab> {
  const wanted = join(folder, 'world.json')
  if (existsSync(wanted) && !existsSync(join(dir, 'lab.json'))) {
    const {
      node,
      portal,
      luns = {},
      hosts = {},
      suffers = {},
    } = JSON.parse(readFileSync(wanted, 'utf8')) as WorldChange
    const { blueprint } = World.open(dir)
    const world = World.create(dir, {
      ...blueprint,
      ...(node ? { node } : {}),
      hosts: blueprint.hosts.map(h => ({ ...h, ...hosts[h.name] })),
      nas: {
        ...blueprint.nas,
        ...(portal === undefined ? {} : { portal }),
        luns: blueprint.nas.luns.map(l => ({ ...l, ...luns[l.claim] })),
      },
    })
    for (const [fault, host] of Object.entries(suffers)) world.arm(fault, host, 1_000)
  }
  return keepLab(dir)
}

function linesOf(file: string): string[] {
  const path = join(folder, file)
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []
}

/** What `resume --dry-run` would say, and what a new run in the same world would plan: two files, no change. */
async function plan(): Promise<void> {
  const cluster = loadCluster(`${home}/recover.yaml`)
  const again = await planResumeAny(undefined, never)
  const lab = await keepLab(join(openRunFolder(stateFolder()).path, 'lab'))
  const anew = await planRun(cluster, whereaboutsOf(lab, cluster), never)
  writeFileSync(join(folder, 'plans.json'), JSON.stringify({ again, anew }))
}
