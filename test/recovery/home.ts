import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inTheLab, type RehearsalOptions } from '../../runbooks/rehearse.ts'
import { beginRun, type RunResult, resumeRun } from '../../runbooks/session.ts'
import type { Reach, Whereabouts } from '../../runbooks/whereabouts.ts'
import { type KeptLab, keepLab } from '../../src/lab/keeper.ts'
import { startLab } from '../../src/lab/lab.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { World } from '../../src/lab/world.ts'
import type { ConsentAnswer } from '../../src/runbook/consent.ts'
import type { RunEvent } from '../../src/runbook/events.ts'
import { type Fault, type FaultJson, toFault } from '../../src/runbook/fault.ts'
import type { JournalRecord } from '../../src/runbook/replay.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { root } from '../cli/program.ts'

export const yes: ConsentAnswer = { by: 'a test', how: 'rehearsed' }

/** A home of the test's own: a copy of the example, and a state folder that runs go to. */
export interface Home {
  file: string
  state: string
}

/** Makes a home; it and its lab are gone after the test. In this thread only one can be at work at a time. */
export function homeOf(test: { onTestFinished(end: () => unknown): void }, from?: Home): Home {
  const folder = mkdtempSync(join(tmpdir(), 'recover-home-'))
  const home = { file: join(folder, 'home', 'recover.yaml'), state: join(folder, 'state') }
  if (from) cpSync(from.state, home.state, { recursive: true })
  cpSync(from ? join(from.file, '..') : join(root, 'examples/home'), join(folder, 'home'), {
    recursive: true,
  })
  const before = process.env.XDG_STATE_HOME
  process.env.XDG_STATE_HOME = home.state
  test.onTestFinished(async () => {
    if (before === undefined) delete process.env.XDG_STATE_HOME
    else process.env.XDG_STATE_HOME = before
    const runs = join(home.state, 'recover', 'runs')
    for (const run of names(runs)) {
      const dir = join(runs, run, 'lab')
      if (World.exists(dir))
        await (await keepLab(dir, { start: false }))?.order('down').catch(() => undefined)
    }
    rmSync(folder, { recursive: true, force: true })
  })
  return home
}

/** The person settles whose each disk is: needed where no machine is there to be the second witness beside the NAS. */
export function settleVolumes(home: Home): void {
  const luns = ['grafana/data', 'miniflux/data-postgres-0', 'photos/library'].map(
    (claim, i) => `  ${claim}: 00000000-0000-4000-8000-00000000000${i}`,
  )
  appendFileSync(home.file, `luns:\n${luns.join('\n')}\n`)
}

/** What a part of a run did. */
export interface Part {
  /** Undefined when it did not come as far as to run. */
  result: RunResult | undefined
  /** What kept it from running. */
  refused: Fault | undefined
  events: RunEvent[]
}

/** What a test wants otherwise than usual. */
export interface Change extends Partial<RehearsalOptions> {
  accept?: ('cluster-file' | 'runbook')[]
  /** Done to the lab when it is up, before anything is looked at. */
  atFirst?: (lab: KeptLab) => Promise<void>
  /** Puts something else in the place of a part of the world. */
  where?: (where: Whereabouts) => Whereabouts
}

/** Rehearses the home's recovery in this process, against its lab in another. */
export async function rehearseAt(home: Home, change: Change = {}): Promise<Part> {
  return part(home, change, (reach, session) => beginRun(home.file, reach, 'rehearsal', session))
}

/** Goes on with the newest run, or begins nothing. */
export async function resumeAt(home: Home, change: Change = {}): Promise<Part> {
  return part(home, change, (reach, session) =>
    resumeRun(undefined, () => reach, { ...session, accept: change.accept ?? [], redo: [] }),
  )
}

async function part(
  home: Home,
  { atFirst, where, sink, ...change }: Change,
  run: (reach: Reach, session: Omit<RehearsalOptions, 'practise' | 'faults'>) => Promise<RunResult>,
): Promise<Part> {
  const events: RunEvent[] = []
  const never = new AbortController().signal
  const options: RehearsalOptions = {
    stop: never,
    now: never,
    consent: async () => yes,
    lockTimeoutMs: 0,
    program: 'test',
    practise: true,
    faults: [],
    keep: labHere,
    ...change,
    sink(event) {
      events.push(structuredClone(event))
      sink?.(event)
    },
  }
  try {
    const result = await inTheLab(options, (reach, session) => {
      const reached: Reach = async (cluster, folder) => {
        const found = await reach(cluster, folder)
        if (atFirst) await atFirst(await labNow(home))
        return where ? where(found) : found
      }
      return run(reached, { ...options, ...session })
    })
    return { result, refused: undefined, events }
  } catch (thrown) {
    return { result: undefined, refused: toFault(thrown, 'the test'), events }
  }
}

/** A lab in this process, behind the same sockets: starting another for every test would take longer than the test. */
export async function labHere(dir: string): Promise<KeptLab> {
  const found = await keepLab(dir, { start: false })
  if (found) return found
  const lab = await startLab(World.open(dir))
  const kept = (await keepLab(dir, { start: false }))!
  return {
    ...kept,
    // Down is down: the next one listens at the same ports.
    order: (order, parameters) => (order === 'down' ? lab.close() : kept.order(order, parameters)),
  }
}

/** The lab of the newest run, which may have no journal yet. */
export async function labNow(home: Home): Promise<KeptLab> {
  const lab = await keepLab(labFolder(home), { start: false })
  if (!lab) throw new Error('the lab does not run')
  return lab
}

/** The world of the newest run's lab. */
export function labFolder(home: Home): string {
  const runs = join(home.state, 'recover', 'runs')
  return join(runs, names(runs).at(-1) ?? 'none', 'lab')
}

/** The journal of the newest run. */
export function journalPath(): string {
  return openRunFolder(stateFolder()).journal
}

/** Its records, unchecked. */
export function recordsNow(): JournalRecord[] {
  return readFileSync(journalPath(), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as JournalRecord)
}

/** Steps that failed in a part of a run, with the codes of their faults. */
export function failuresOf({ result }: Part): Record<string, string> {
  return Object.fromEntries(result?.failures.map(f => [f.step, f.fault.code]) ?? [])
}

/** Every fault of a part, for `remedy` and words. */
export function faultsOf({ events }: Part): FaultJson[] {
  return events.flatMap(e => (e.code === 'step-failed' ? [e.fault] : []))
}

/** Steps that something was done for. */
export function applied({ events }: Part): string[] {
  return events.flatMap(e => (e.code === 'step-applying' ? [e.step] : []))
}

/** How often each disk of a machine was written, in the order that the machine has them. */
export function writesOn(home: Home, host: string): number[] {
  const hosts = World.open(labFolder(home)).read<Record<string, { disks: { writes: number }[] }>>('hosts')
  return hosts?.[host]?.disks.map(d => d.writes) ?? []
}

/**
 * What is wrong with the data of the newest run's lab, compared file by file with what its world began with: every old
 * LUN as it was, every copied volume once more. Empty when all is as it should be.
 */
export function damageOf(home: Home, copied: string[] = ['grafana/data']): string[] {
  const world = World.open(labFolder(home))
  const luns = world.read<{ luns: { uuid: string }[] }>('nas')?.luns ?? []
  const holding = (files: Record<string, string>) =>
    luns
      .filter(
        lun => JSON.stringify(filesBelow(world.path('nas', 'luns', lun.uuid))) === JSON.stringify(files),
      )
      .map(lun => lun.uuid)
  return world.blueprint.nas.luns.flatMap(({ uuid, claim, files }) => {
    const found = holding(sorted(files))
    return [
      ...(found.includes(uuid) ? [] : [`the LUN of ${claim} is not as it was`]),
      ...(copied.includes(claim) && found.length < 2 ? [`there is no whole copy of ${claim}`] : []),
    ]
  })
}

/** What the newest run's lab has on its NAS that nobody needs once a run is finished. */
export function leftOnNas(home: Home): string[] {
  const world = World.open(labFolder(home))
  const { luns, targets } = world.read<NasState>('nas')!
  const leading = (uuid: string) => targets.filter(t => t.mappings.some(m => m.lun === uuid))
  return [
    ...luns.filter(l => l.name.startsWith('k8s-csi-recover-')).map(l => `the clone ${l.name}`),
    ...luns.filter(l => leading(l.uuid).length !== 1).map(l => `${l.name} without a target of its own`),
    ...targets.filter(t => t.mappings.length !== 1).map(t => `the target ${t.name}, which leads to no LUN`),
    ...names(world.path('nas', 'luns'))
      .filter(disk => !luns.some(l => l.uuid === disk))
      .map(disk => `the disk ${disk}, of no LUN`),
  ]
}

/** Relative path to text, of every file below a folder. */
function filesBelow(folder: string, prefix = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const path = join(prefix, entry.name)
    if (entry.isDirectory()) Object.assign(found, filesBelow(folder, path))
    else found[path] = readFileSync(join(folder, path), 'utf8')
  }
  return sorted(found)
}

function sorted(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}
