import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'

/** How one program is started; again with the same words after it was ended. */
export interface Command {
  program: string
  args: string[]
  env?: Record<string, string>
}

/** Programs that run beside a test, each with a log of its own. What a test leaves ends with the tests' process tree. */
export class Processes {
  private readonly folder: string
  private readonly commands = new Map<string, Command>()
  private readonly running = new Map<string, ChildProcess>()

  /** @param folder gets NAME.log of each program */
  constructor(folder: string) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
  }

  /** Starts a program; by its name alone one that was started before. */
  start(name: string, command = this.commands.get(name)): void {
    if (command === undefined) throw new Error(`${name} was never started`)
    this.commands.set(name, command)
    const log = openSync(this.logOf(name), 'a')
    const child = spawn(command.program, command.args, {
      stdio: ['ignore', log, log],
      env: { PATH: process.env.PATH, HOME: this.folder, ...command.env },
    })
    closeSync(log)
    child.on('error', () => {})
    this.running.set(name, child)
  }

  runs(name: string): boolean {
    const child = this.running.get(name)
    return (
      child !== undefined && child.exitCode === null && child.signalCode === null && child.pid !== undefined
    )
  }

  /** Ends a program and waits until it is gone. */
  async end(name: string, signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    const child = this.running.get(name)
    this.running.delete(name)
    if (!child || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill(signal)
    await gone
  }

  /** Halts a program where it is, or lets it go on. */
  halt(name: string, halted: boolean): void {
    this.running.get(name)?.kill(halted ? 'SIGSTOP' : 'SIGCONT')
  }

  /** Ends all, those that came last first. */
  async endAll(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    for (const name of [...this.running.keys()].reverse()) await this.end(name, signal)
  }

  logOf(name: string): string {
    return join(this.folder, `${name}.log`)
  }

  /** The end of a program's log, for the message of what went wrong. */
  lastWords(name: string): string {
    return readFileSync(this.logOf(name), 'utf8').trimEnd().split('\n').slice(-8).join('\n')
  }

  /** Waits for a condition as long as a program runs. Throws its last words when it ends or the time is over. */
  async waitFor<T>(
    name: string,
    what: string,
    probe: () => Promise<T | undefined> | T | undefined,
    // A control plane starts in seconds, and in minutes where ten programs want each core.
    limitMs = 600_000,
  ): Promise<T> {
    const end = performance.now() + limitMs
    for (;;) {
      const found = await probe()
      if (found !== undefined) return found
      if (!this.runs(name)) throw new Error(`${name} ended before ${what}:\n${this.lastWords(name)}`)
      if (performance.now() > end) throw new Error(`waited too long for ${what}:\n${this.lastWords(name)}`)
      await new Promise(resolve => setTimeout(resolve, 25))
    }
  }
}

/** The next port of this thread of the tests, below those that the kernel gives away (ip_local_port_range). */
let next = 12_000 + threadId * 200

/** Ports of the tests' own network that nobody listens at, and that nobody takes until a program has come to listen there. */
export function freePorts(count: number): number[] {
  next += count
  return Array.from({ length: count }, (_, i) => next - count + i)
}
