import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunEvent } from '../../src/runbook/events.ts'
import type { Home } from '../recovery/home.ts'
import { child, type End } from './place.ts'

/** A run on the living cluster of a home whose lab is up, lived by several processes one after another. */
export class Lives {
  private readonly home: Home
  private readonly out: string
  private readonly args: string[]

  /** @param chosen claims, or what is to be deleted */
  constructor(home: Home, part: 'sync' | 'finalize', chosen: readonly string[]) {
    if (!existsSync(child)) throw new Error('the test needs the build: npm run setup')
    this.home = home
    this.out = mkdtempSync(join(home.file, '..', '..', 'out-'))
    this.args = [part, chosen.join()]
  }

  /** Lets one process live; it dies at the first of the points that it meets. */
  live(points: Iterable<string>): Promise<End> {
    const [part = '', chosen = ''] = this.args
    return new Promise((resolve, reject) => {
      const args = [child, part, this.out, [...points].join('\n'), join(this.home.file, '..'), chosen]
      const life = spawn(process.execPath, args, {
        env: { ...process.env, XDG_STATE_HOME: this.home.state },
        stdio: ['ignore', 'ignore', 'inherit'],
        timeout: 5 * 60_000,
        killSignal: 'SIGABRT',
      })
      life.on('error', reject)
      life.on('exit', (code, signal) => resolve(signal ?? code))
    })
  }

  /** All points that the processes met together, in order. */
  get met(): string[] {
    return this.lines('points')
  }

  get events(): RunEvent[] {
    return this.lines('events.ndjson').map(line => JSON.parse(line) as RunEvent)
  }

  get complaints(): string {
    return this.lines('faults.ndjson').join('\n')
  }

  private lines(file: string): string[] {
    const path = join(this.out, file)
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : []
  }
}
