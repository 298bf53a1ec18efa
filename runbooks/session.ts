import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import type { ConsentDesk } from '../src/runbook/consent.ts'
import { openEventLog } from '../src/runbook/event-log.ts'
import type { EventSink } from '../src/runbook/events.ts'
import { type Execution, execute } from '../src/runbook/execute.ts'
import { Fault } from '../src/runbook/fault.ts'
import {
  createJournal,
  type JournalOptions,
  type NumberedRecord,
  reopenJournal,
} from '../src/runbook/journal.ts'
import { takeLock } from '../src/runbook/lock.ts'
import type { Plan } from '../src/runbook/plan.ts'
import { claims, type RecordBody, readJournal } from '../src/runbook/replay.ts'
import {
  createRunFolder,
  nameRun,
  openRunFolder,
  type RunFolder,
  stateFolder,
} from '../src/runbook/run-folder.ts'
import type { Runbook } from '../src/runbook/runbook.ts'
import type { Secrets } from '../src/secrets/resolve.ts'
import { bookOf, limitsOf, runbookChanged } from './books.ts'
import { connect } from './connect.ts'
import { mirrorKeyFile } from './connect-mirror.ts'
import { formerRuns } from './former-runs.ts'
import { fromScratch } from './from-scratch.ts'
import type { Asked } from './kit.ts'
import { planRun } from './plan-run.ts'
import { aboutOf, lockPath, secretOf } from './runs.ts'
import type { Reach, Whereabouts } from './whereabouts.ts'

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
  /**
   * Called around every record (`before record 12 intent hosts/install-flatcar[lithium]`, `after …`) and every effect
   * (`before-effect hosts/install-flatcar[lithium]`, `after-effect …`); tests end the process here.
   */
  onPoint?: (point: string) => void
}

export interface RunResult extends Execution {
  run: string
  folder: string
}

const limits = { nas: 4, host: 1, api: 8, k0sctl: 1 }

/**
 * Erases what nothing needs once all is done: what the machines' private host keys can be derived from, and the
 * k0sctl.yaml in which variables from the environment stand with their values, manifests among which may be Secrets, and
 * the key of the certificate by which the kit's mirror was served.
 */
function forget(folder: RunFolder): void {
  rmSync(join(folder.path, 'k0sctl', 'k0sctl.yaml'), { force: true })
  rmSync(join(folder.path, 'rendered'), { recursive: true, force: true })
  rmSync(join(folder.path, mirrorKeyFile), { force: true })
  unlinkSync(join(folder.path, 'secret'))
}

/** Says by events what a plan still waits for. */
function stillLooking(sink: EventSink): (titles: string[]) => void {
  return titles =>
    sink({ code: 'notice', about: 'plan', text: `Still looking: ${titles.join('; ')}`, atMs: 0 })
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

/** What a record is and what it is about: `intent hosts/install-flatcar[lithium]`. */
function titleOf(record: NumberedRecord): string {
  const about = 'step' in record ? record.step : 'name' in record ? record.name : undefined
  return about === undefined ? record.kind : `${record.kind} ${about}`
}

function journalOptions(mask: Secrets['mask'], { onPoint }: SessionOptions): JournalOptions {
  return {
    mask: record => mask.json(record),
    ...(onPoint
      ? { onPoint: (point, record) => onPoint(`${point} record ${record.seq} ${titleOf(record)}`) }
      : {}),
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
