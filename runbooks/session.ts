import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import { nearest } from '../src/cluster/nearest.ts'
import type { ConsentDesk } from '../src/runbook/consent.ts'
import { milliseconds } from '../src/runbook/duration.ts'
import { openEventLog } from '../src/runbook/event-log.ts'
import type { EventSink } from '../src/runbook/events.ts'
import { type Execution, execute } from '../src/runbook/execute.ts'
import { Fault } from '../src/runbook/fault.ts'
import { createJournal, type JournalOptions, reopenJournal } from '../src/runbook/journal.ts'
import { breakLock, type LockHolder, takeLock } from '../src/runbook/lock.ts'
import { makePlan } from '../src/runbook/make-plan.ts'
import { onlyPhases } from '../src/runbook/only-phases.ts'
import type { Plan } from '../src/runbook/plan.ts'
import { type Claims, claims, type RecordBody, readJournal } from '../src/runbook/replay.ts'
import {
  createRunFolder,
  listRunFolders,
  nameRun,
  openRunFolder,
  type RunFolder,
  stateFolder,
} from '../src/runbook/run-folder.ts'
import type { Runbook } from '../src/runbook/runbook.ts'
import type { Secrets } from '../src/secrets/resolve.ts'
import { type ConnectedRun, connect, type Whereabouts } from './connect.ts'
import { finalizeVolumes } from './finalize-volumes.ts'
import { formerRuns } from './former-runs.ts'
import { fromScratch } from './from-scratch.ts'
import type { Asked } from './kit.ts'
import { syncVolumes } from './sync-volumes.ts'

/** What every part of a run needs from whoever started it. */
export interface SessionOptions {
  /** Stop after the current action. */
  stop: AbortSignal
  /** Stop at once. */
  now: AbortSignal
  sink: EventSink
  consent: ConsentDesk
  /** How long to wait for another operator's lock. */
  lockTimeoutMs: number
  /** Version of this program. */
  program: string
  /** Called around every record and every effect; tests end the process here. */
  onPoint?: (point: string) => void
}

export interface RunResult extends Execution {
  run: string
  folder: string
}

/** How a run's cluster is reached; a rehearsal brings its own world. */
export type Reach = (cluster: Cluster, folder: RunFolder) => Promise<Whereabouts>

const limits = { nas: 4, host: 1, api: 8, k0sctl: 1 }

const books = [fromScratch, finalizeVolumes, syncVolumes]

/** A runbook (the main one where none is named), or some phases of it. Throws Fault `phase-unknown`. */
export function bookOf(only: string[] | undefined, id: string = fromScratch.id): Runbook {
  const book = books.find(b => b.id === id) ?? fromScratch
  return only === undefined ? book : onlyPhases(book, only)
}

/** Says what a run would do. Reads the world and the person's files, writes nothing at all. */
export async function planRun(
  cluster: Cluster,
  where: Whereabouts,
  now: AbortSignal,
  book: Runbook = fromScratch,
  waiting?: (titles: string[]) => void,
  about: Pick<ConnectedRun, 'asked' | 'mode'> = {},
): Promise<Plan> {
  const run = { id: 'plan', secret: randomBytes(32), onlyLooks: true, ...about }
  const connections = connect(cluster, run, where, now)
  try {
    return where.secrets.mask.json(
      await makePlan({ runbook: book, readers: connections.readers, now, waiting }),
    )
  } finally {
    await connections.close()
  }
}

/** Says by events what a plan still waits for. */
function stillLooking(sink: EventSink): (titles: string[]) => void {
  return titles =>
    sink({ code: 'notice', about: 'plan', text: `Still looking: ${titles.join('; ')}`, atMs: 0 })
}

/** Says what going on with a run would do now. Reads the world and the run's folder, writes nothing. */
export async function planResume(
  run: string | undefined,
  reach: (mode: string) => Reach,
  now: AbortSignal,
): Promise<Plan> {
  const folder = openRunFolder(stateFolder(), run)
  const claimed = claims(readJournal(folder.journal), folder.journal)
  const { began } = claimed
  const cluster = loadCluster(began.input)
  const where = await reach(began.mode)(cluster, folder)
  const secret = secretOf(folder)
  const connections = connect(
    cluster,
    { id: folder.run, secret, folder: folder.path, onlyLooks: true, ...aboutOf(began) },
    where,
    now,
  )
  try {
    return where.secrets.mask.json(
      await makePlan({
        runbook: bookOf(began.only, began.runbook),
        readers: connections.readers,
        claims: claimed,
        now,
      }),
    )
  } finally {
    await connections.close()
  }
}

/**
 * Erases what nothing needs once all is done: what the machines' private host keys can be derived from, and the
 * k0sctl.yaml in which variables from the environment stand with their values, and manifests among which may be Secrets.
 */
function forget(folder: RunFolder): void {
  rmSync(join(folder.path, 'k0sctl', 'k0sctl.yaml'), { force: true })
  rmSync(join(folder.path, 'rendered'), { recursive: true, force: true })
  unlinkSync(join(folder.path, 'secret'))
}

/** What this run's machines are known by. Fault `run-over` once it was erased. */
function secretOf(folder: RunFolder): Buffer {
  const secretFile = join(folder.path, 'secret')
  if (existsSync(secretFile)) return readFileSync(secretFile)
  throw new Fault({
    code: 'run-over',
    blame: 'operator',
    message: `run ${folder.run} is finished, and what it knew its machines by was erased`,
    remedy: 'Run `recover report` to read what it did, or begin a new run',
  })
}

/** Begins a run: its folder, its secret, its journal; asks once for everything that can be named; then works. */
export async function beginRun(
  file: string,
  reach: Reach,
  mode: 'real' | 'rehearsal',
  options: SessionOptions & { approve?: string; only?: string[]; book?: string; asked?: Asked },
): Promise<RunResult> {
  const book = bookOf(options.only, options.book)
  const path = resolve(file)
  const cluster = loadCluster(path)
  limitsOf(cluster)
  const state = stateFolder()
  const run = nameRun(new Date(), state)
  const lock = await takeLock(lockPath(state, cluster, mode), {
    run,
    doing: `recover ${book.id}`,
    timeoutMs: options.lockTimeoutMs,
    stop: options.stop,
    notice: text => options.sink({ code: 'notice', about: 'lock', text, atMs: 0 }),
  })
  try {
    const folder = createRunFolder(state, run)
    writeFileSync(join(folder.path, 'secret'), randomBytes(32), { mode: 0o600, flush: true })
    writeFileSync(join(folder.path, 'recover.yaml'), readFileSync(path), { mode: 0o600 })
    const where = await reach(cluster, folder)
    const { mask } = where.secrets
    bringAccess(folder, path, mode, book, options.asked)
    const plan = await planRun(cluster, where, options.now, book, stillLooking(options.sink), {
      mode,
      ...(options.asked ? { asked: options.asked } : {}),
    })
    writeFileSync(join(folder.path, 'plan.json'), JSON.stringify(mask.json(plan), null, 2), { mode: 0o600 })
    const answer = await approval(plan, options)
    const began: RecordBody = {
      kind: 'run-began',
      run,
      runbook: book.id,
      runbookHash: book.hash,
      ...(options.only ? { only: options.only } : {}),
      ...(options.asked ? { asked: { ...options.asked, chosen: [...options.asked.chosen] } } : {}),
      stepHashes: book.stepHashes,
      inputHash: cluster.hash,
      input: path,
      program: options.program,
      by: `${userInfo().username}@${hostname()}`,
      mode,
    }
    const journal = createJournal(folder.journal, began, journalOptions(mask, options))
    if (answer) await journal.append({ kind: 'consent', victims: plan.victims, ...answer })
    await journal.close()
    return await work(book, cluster, folder, where, false, options)
  } finally {
    lock.release()
  }
}

/** What a run is about, as its first record says. */
function aboutOf({ asked, mode }: Claims['began']): Pick<ConnectedRun, 'asked' | 'mode'> {
  return { mode, ...(asked ? { asked } : {}) }
}

/** A runbook that begins no cluster of its own works with the one that the newest finished run has made. */
function bringAccess(
  folder: RunFolder,
  input: string,
  mode: string,
  book: Runbook,
  asked: Asked | undefined,
): void {
  if (book.id === fromScratch.id || asked?.kubeconfig !== undefined) return
  const made = formerRuns(input, mode)
    .map(former => join(former.folder, 'kubeconfig'))
    .findLast(kubeconfig => existsSync(kubeconfig))
  if (made !== undefined) writeFileSync(join(folder.path, 'kubeconfig'), readFileSync(made), { mode: 0o600 })
}

/** Goes on with a run, whatever ended it. */
export async function resumeRun(
  run: string | undefined,
  reach: (mode: string) => Reach,
  options: SessionOptions & { accept: ('cluster-file' | 'runbook')[]; redo: string[] },
): Promise<RunResult> {
  const state = stateFolder()
  const folder = openRunFolder(state, run)
  const { began, goesBy } = claims(readJournal(folder.journal), folder.journal)
  const cluster = loadCluster(began.input)
  if (cluster.hash !== goesBy.inputHash && !options.accept.includes('cluster-file'))
    throw new Fault({
      code: 'cluster-file-changed',
      blame: 'operator',
      message: `${began.input} or a file that it names is not what it was when run ${folder.run} began (a copy of it lies in ${folder.path})`,
      remedy: `Compare them. To go on with the files as they are now: recover resume ${folder.run} --accept cluster-file`,
    })
  const book = bookOf(began.only, began.runbook)
  if (book.hash !== goesBy.runbookHash && !options.accept.includes('runbook'))
    throw runbookChanged(book, began.stepHashes, folder.run)
  const lock = await takeLock(lockPath(state, cluster, began.mode), {
    run: folder.run,
    doing: `recover resume ${folder.run}`,
    timeoutMs: options.lockTimeoutMs,
    stop: options.stop,
    notice: text => options.sink({ code: 'notice', about: 'lock', text, atMs: 0 }),
  })
  try {
    const where = await reach(began.mode)(cluster, folder)
    return await work(book, cluster, folder, where, true, options)
  } finally {
    lock.release()
  }
}

async function work(
  book: Runbook,
  cluster: Cluster,
  folder: RunFolder,
  where: Whereabouts,
  resumed: boolean,
  options: SessionOptions & { accept?: string[]; redo?: string[] },
): Promise<RunResult> {
  const secret = secretOf(folder)
  const { mask } = where.secrets
  const log = openEventLog(join(folder.path, 'events.ndjson'))
  const { journal, replay } = reopenJournal(folder.journal, journalOptions(mask, options))
  const { began } = claims(readJournal(folder.journal), folder.journal)
  const connections = connect(
    cluster,
    { id: folder.run, secret, folder: folder.path, ...aboutOf(began) },
    where,
    options.now,
  )
  try {
    if (replay.torn) {
      await journal.append({ kind: 'torn-tail', bytes: replay.torn.bytes.length })
      options.sink({
        code: 'notice',
        about: 'torn-tail',
        text: `The journal ended in the middle of a line, as after a crash; those ${replay.torn.bytes.length} bytes were cut off and kept beside it`,
        atMs: 0,
      })
    }
    if (resumed)
      await journal.append({
        kind: 'resumed',
        by: `${userInfo().username}@${hostname()}`,
        program: options.program,
        runbookHash: book.hash,
        inputHash: cluster.hash,
        accepted: options.accept ?? [],
      })
    const execution = await execute({
      run: folder.run,
      runbook: book,
      readers: connections.readers,
      writers: connections.writers,
      journal,
      claims: claims(readJournal(folder.journal), folder.journal),
      resumed,
      consent: options.consent,
      sink: event => {
        const safe = mask.json(event)
        log.sink(safe)
        options.sink(safe)
      },
      stop: options.stop,
      now: options.now,
      limits,
      pace: where.pace,
      limitsOf: limitsOf(cluster),
      ...(where.scaleLimit ? { scaleLimit: where.scaleLimit } : {}),
      redo: new Set(options.redo ?? []),
      ...(options.onPoint ? { onPoint: (point, step) => options.onPoint?.(`${point} ${step}`) } : {}),
    })
    if (execution.state === 'finished') forget(folder)
    return { run: folder.run, folder: folder.path, ...execution }
  } finally {
    await connections.close()
    await journal.close()
    log.close()
  }
}

/** The limits that recover.yaml changes. Throws Fault `timeout-unknown` for a step that is not in the runbook. */
function limitsOf(cluster: Cluster): Record<string, number> {
  const known = fromScratch.steps.map(s => s.id)
  return Object.fromEntries(
    Object.entries(cluster.entry.timeouts ?? {}).map(([id, duration]) => {
      if (known.includes(id)) return [id, milliseconds(duration)]
      const meant = nearest(id, known)
      throw new Fault({
        code: 'timeout-unknown',
        blame: 'operator',
        message: `recover.yaml names a timeout for ${id}, which is no step of the runbook${meant ? `; did you mean ${meant}?` : ''}`,
        remedy: '`recover runbook --json` lists the steps',
      })
    }),
  )
}

function journalOptions(mask: Secrets['mask'], { onPoint }: SessionOptions): JournalOptions {
  return {
    mask: record => mask.json(record),
    ...(onPoint ? { onPoint: (point, seq) => onPoint(`${point} record ${seq}`) } : {}),
  }
}

/** Consent to everything that the plan can name, asked once, before anything is changed. */
async function approval(plan: Plan, options: SessionOptions & { approve?: string }) {
  if (options.approve !== undefined) {
    if (options.approve !== plan.hash)
      throw new Fault({
        code: 'plan-differs',
        blame: 'operator',
        message: `the approved plan ${options.approve} is not what would be done now, which is ${plan.hash}; nothing was changed`,
        remedy: 'Look at the new plan with --dry-run and approve it',
      })
    return { by: `${userInfo().username}@${hostname()}`, how: 'plan' as const, plan: plan.hash }
  }
  if (plan.victims.length === 0) return undefined
  const answer = await options.consent({ victims: plan.victims, plan })
  if (answer) return answer
  if (options.stop.aborted)
    throw new Fault({
      code: 'stopped-before',
      blame: 'operator',
      message: 'stopped at the question for consent; nothing was changed',
      remedy: 'Run it again when you are ready',
    })
  throw new Fault({
    code: 'consent-missing',
    blame: 'operator',
    message: `nobody agreed to destroying ${plan.victims.map(v => `${v.kind} ${v.name}`).join(', ')}; nothing was changed`,
    remedy: `Run it at a terminal and answer, or approve this plan with --approve ${plan.hash}`,
  })
}

/** A rehearsal has a world of its own and need not wait for anybody. */
function lockPath(state: string, cluster: Cluster, mode: string): string {
  return join(state, 'locks', mode === 'real' ? cluster.entry.cluster : `${cluster.entry.cluster}.rehearsal`)
}

function runbookChanged(book: Runbook, then: Record<string, string>, run: string): Fault {
  const now = book.stepHashes
  const changed = Object.keys(now).filter(id => then[id] !== undefined && then[id] !== now[id])
  const added = Object.keys(now).filter(id => then[id] === undefined)
  const gone = Object.keys(then).filter(id => now[id] === undefined)
  const says = [
    ...(changed.length > 0 ? [`changed: ${changed.join(', ')}`] : []),
    ...(added.length > 0 ? [`new: ${added.join(', ')}`] : []),
    ...(gone.length > 0 ? [`gone: ${gone.join(', ')}`] : []),
  ]
  return new Fault({
    code: 'runbook-changed',
    blame: 'operator',
    message: `this version of recover has another runbook than run ${run} began with (${says.join('; ') || 'their order'})`,
    remedy: `Use the version that it began with, or go on with this one: recover resume ${run} --accept runbook`,
  })
}

/** Whether a run was begun in earnest or as a rehearsal. */
export function modeOf(run: string | undefined): string {
  const folder = openRunFolder(stateFolder(), run)
  return claims(readJournal(folder.journal), folder.journal).began.mode
}

/** One run, for a list. */
export interface RunSummary {
  run: string
  runbook: string
  state: 'finished' | 'failed' | 'stopped' | 'interrupted' | 'damaged'
  began: string
  input: string
  mode: string
  folder: string
}

/** All runs on this machine, oldest first. A run whose journal does not say how it ended is running or was killed. */
export function listRuns(): RunSummary[] {
  return listRunFolders(stateFolder()).map(folder => {
    try {
      const { began, ended } = claims(readJournal(folder.journal), folder.journal)
      return {
        run: folder.run,
        runbook: began.runbook,
        state: ended?.state ?? ('interrupted' as const),
        began: began.at,
        input: began.input,
        mode: began.mode,
        folder: folder.path,
      }
    } catch {
      return {
        run: folder.run,
        runbook: '',
        state: 'damaged' as const,
        began: '',
        input: '',
        mode: '',
        folder: folder.path,
      }
    }
  })
}

/** Breaks the lock of a cluster, and says whose it was. */
export function forceUnlock(file: string): LockHolder | undefined {
  return breakLock(lockPath(stateFolder(), loadCluster(file), 'real'))
}
