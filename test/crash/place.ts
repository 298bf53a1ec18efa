import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Blueprint, HostBlueprint, LunBlueprint } from '../../src/lab/blueprint.ts'
import type { LabEndpoints } from '../../src/lab/lab.ts'
import type { RunEvent } from '../../src/runbook/events.ts'
import type { Plan } from '../../src/runbook/plan.ts'
import { type JournalRecord, readJournal } from '../../src/runbook/replay.ts'
import { openRunFolder, type RunFolder } from '../../src/runbook/run-folder.ts'
import { type ComparableWorld, worldOf } from './world.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The program that lives one life of a run; made by the build. */
export const child = join(root, 'dist', 'bundle', 'crash-child.js')

/** No life of a run takes half as long on a busy machine; one that hangs must not hold up all others. */
const longestLifeMs = 5 * 60_000

// A killed process loses nothing that it wrote, in memory as on a disk; hundreds of worlds are made faster in memory.
const fast = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** How a process ended: its exit code, or the signal that ended it. */
export type End = number | NodeJS.Signals | null

/** How a world begins, where it is not as the blueprint of its home says. */
export interface WorldChange {
  /** With real parts. */
  node?: NonNullable<Blueprint['node']>
  portal?: string
  /** Of LUNs, by their claim. */
  luns?: Record<string, Partial<LunBlueprint>>
  /** Of machines, by their name. */
  hosts?: Record<string, Partial<HostBlueprint>>
  /** Lasting faults, each with the machine that suffers it. */
  suffers?: Record<string, string>
}

/** What is rehearsed. */
export interface Rehearsed {
  /** The folder of recover.yaml. */
  home: string
  /** The one phase of the runbook that is done; all of it, when absent. */
  phase?: string
  world?: WorldChange
}

/** Whether a point is a request of a step at work, in the middle of its effect. */
export function isOfChange(point: string): boolean {
  return /^\w+-change /.test(point)
}

/** One rehearsal with a state folder of its own, lived by several processes one after another. */
export class Place {
  readonly folder = mkdtempSync(join(fast, 'recover-crash-'))
  private readonly state = join(this.folder, 'state')
  private readonly what: Rehearsed

  constructor(what: Rehearsed = { home: join(root, 'examples/home') }) {
    this.what = what
    if (what.world) writeFileSync(join(this.folder, 'world.json'), JSON.stringify(what.world))
  }

  /** Lets one process live; it dies at the first of the points that it meets. */
  live(part: 'rehearse' | 'resume' | 'plan', points: Iterable<string> = []): Promise<End> {
    const { home, phase } = this.what
    const args = [
      child,
      part,
      this.folder,
      [...points].join('\n'),
      home,
      ...(phase === undefined ? [] : [phase]),
    ]
    const process_ = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, XDG_STATE_HOME: this.state },
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: longestLifeMs,
      killSignal: 'SIGABRT',
    })
    return new Promise<End>((resolve, reject) => {
      process_.on('error', reject)
      process_.on('exit', (code, signal) => resolve(signal ?? code))
    })
  }

  /** A new process goes on, and begins the run anew where nothing had begun; it dies at the first of the points. */
  async goOn(points: Iterable<string> = []): Promise<End> {
    const end = await this.live('resume', points)
    return end === 3 ? this.live('rehearse', points) : end
  }

  get stateFolder(): string {
    return join(this.state, 'recover')
  }

  /** The run; throws when there is none yet. */
  get run(): RunFolder {
    return openRunFolder(this.stateFolder)
  }

  get labFolder(): string {
    return join(this.run.path, 'lab')
  }

  get records(): JournalRecord[] {
    return readJournal(this.run.journal).records
  }

  get world(): ComparableWorld {
    return worldOf(this.labFolder, this.run.run)
  }

  /** All that the processes met together, in order. */
  get met(): string[] {
    return this.lines('points')
  }

  /** Of that the records and the effects. */
  get points(): string[] {
    return this.met.filter(point => !isOfChange(point))
  }

  get events(): RunEvent[] {
    return this.lines('events.ndjson').map(line => JSON.parse(line) as RunEvent)
  }

  /** What the processes complained about, for the message of a test. */
  get complaints(): string {
    return this.lines('faults.ndjson').join('\n')
  }

  get plans(): { again: Plan; anew: Plan } {
    return JSON.parse(readFileSync(join(this.folder, 'plans.json'), 'utf8')) as { again: Plan; anew: Plan }
  }

  /** Ends the lab's process as a crash would, if it lives. */
  killLab(): void {
    // The number may be another process's by now.
    for (const { pid, folder } of this.labs())
      if (commandOf(pid).includes(folder))
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It ended by itself.
        }
  }

  remove(): void {
    this.killLab()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }

  private labs(): LabEndpoints[] {
    // Also of a run that was killed before its journal began, which is no run to anybody else.
    const runs = join(this.stateFolder, 'runs')
    if (!existsSync(runs)) return []
    return readdirSync(runs)
      .map(run => join(runs, run, 'lab', 'lab.json'))
      .filter(path => existsSync(path))
      .map(path => JSON.parse(readFileSync(path, 'utf8')) as LabEndpoints)
  }

  private lines(file: string): string[] {
    const path = join(this.folder, file)
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').filter(Boolean) : []
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
