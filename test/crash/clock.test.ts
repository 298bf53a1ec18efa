import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunEvent } from '../../src/runbook/events.ts'
import { root } from '../cli/program.ts'
import { damageOf, homeOf, recordsNow } from '../recovery/home.ts'

test('a clock that jumps by hours, forth and back, changes nothing but the times in the journal', async context => {
  const home = homeOf(context)
  const events = join(home.state, '..', 'events.ndjson')
  const first = await recoverAt(
    home.state,
    '0 5 -9',
    ['rehearse', home.file, '--json-into', events],
    'SIGINT',
  )
  expect(first.exit).toBe(130)
  const second = await recoverAt(home.state, '-30 72', ['resume', '--json-into', events])
  expect(second.stderr).not.toContain('Error')
  expect(second.exit).toBe(0)
  expect(damageOf(home)).toEqual([])

  // The jumps were there.
  const times = recordsNow().map(r => Date.parse(r.at))
  const leaps = times.slice(1).map((at, i) => Math.round((at - times[i]!) / 3_600_000))
  expect(leaps.filter(hours => hours > 0).length).toBeGreaterThan(0)
  expect(leaps.filter(hours => hours < 0).length).toBeGreaterThan(0)

  const told = readFileSync(events, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as RunEvent)
  for (const event of told) {
    expect(event.atMs).toBeGreaterThanOrEqual(0)
    // The jumps are of hours; a busy machine may take minutes.
    expect(event.atMs).toBeLessThan(30 * 60_000)
    if ('tookMs' in event) expect(event.tookMs).toBeLessThan(30 * 60_000)
    if ('tookMs' in event) expect(event.tookMs).toBeGreaterThanOrEqual(0)
    if ('limitMs' in event) expect(event.limitMs).toBeLessThan(24 * 3_600_000)
  }
  const report = await recoverAt(home.state, '0', ['report', '--json'])
  expect(report.exit).toBe(0)
  const lengths = [...report.stdout.matchAll(/"(\w*Ms)": (-?[\d.]+)/g)].map(m => Number(m[2]))
  expect(lengths.length).toBeGreaterThan(10)
  expect(lengths.filter(ms => ms < 0 || ms > 60 * 60_000)).toEqual([])
})

/** The built program under a clock that jumps; with `signal`, stopped when the control plane is being started. */
async function recoverAt(state: string, jumps: string, args: string[], signal?: NodeJS.Signals) {
  const preload = join(root, 'dist/test/crash/jumping-clock.js')
  expect(existsSync(preload)).toBe(true)
  const child = spawn(process.execPath, ['--import', preload, join(root, 'bin/run.js'), ...args], {
    env: { PATH: process.env.PATH, HOME: state, XDG_STATE_HOME: state, NO_COLOR: '1', CLOCK_JUMPS: jumps },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 10 * 60_000,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  let sent = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    if (signal && !sent && stderr.includes('Start the control plane')) sent = child.kill(signal)
  })
  const exit = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { exit, stdout, stderr }
}
