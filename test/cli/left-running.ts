import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect } from 'vitest'

/** Wants the labs of all rehearsals that left their runs in a state folder to have ended. */
export async function nothingIsLeftRunning(state: string): Promise<void> {
  const runs = join(state, 'recover/runs')
  for (const run of readdirSync(runs)) {
    const { pid } = JSON.parse(readFileSync(join(runs, run, 'lab/lab.json'), 'utf8')) as { pid: number }
    const until = performance.now() + 60_000
    while (isAlive(pid) && performance.now() < until) await setTimeout(100)
    expect(isAlive(pid), `the lab of run ${run} still runs`).toBe(false)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
