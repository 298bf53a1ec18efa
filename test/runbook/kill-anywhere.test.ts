import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readJournal } from '../../src/runbook/replay.ts'
import { scratch } from './harness.ts'
import { furnish, worldOf } from './workshop.ts'

const child = fileURLToPath(new URL('../../dist/bundle/workshop-child.js', import.meta.url))

/** The crash suite takes every point; here a sample keeps the default suite short. */
const stride = process.env.RECOVER_EVERY_CRASH_POINT ? 1 : 5

function fresh() {
  const dir = scratch('workshop')
  furnish(dir, ['north', 'south'])
  const folder = scratch('run')
  return { dir, folder, journal: join(folder, 'journal.ndjson') }
}

type Place = ReturnType<typeof fresh>

function part(place: Place, point: number): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    const { dir, journal } = place
    const process_ = spawn(process.execPath, [child, dir, journal, String(point)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    process_.on('error', reject)
    process_.on('exit', (code, signal) => resolve(signal ?? code))
  })
}

/** Shelves whose clearing was seen to be complete, and things thrown away after that. */
function destroyedTwice(place: Place): string[] {
  const complete = new Set<string>()
  const again: string[] = []
  for (const line of readFileSync(join(place.dir, 'touched.log'), 'utf8').split('\n')) {
    const owner = /^write (\w+)\.owner$/.exec(line)?.[1]
    if (owner !== undefined && complete.has(owner)) again.push(line)
    if (owner !== undefined) complete.add(owner)
    const removed = /^remove (\w+)-/.exec(line)?.[1]
    if (removed !== undefined && complete.has(removed)) again.push(line)
  }
  return again
}

test('killed at any point and resumed by a new process, the run ends in the same world', {
  timeout: 1_800_000,
}, async () => {
  expect(existsSync(child), 'the test needs the build: npm run build').toBe(true)
  const whole = fresh()
  expect(await part(whole, 0)).toBe(0)
  const points = Number(readFileSync(join(whole.folder, 'points'), 'utf8'))
  const goal = worldOf(whole.dir)
  expect(points).toBeGreaterThan(40)

  const crash = async (at: number) => {
    const place = fresh()
    expect(await part(place, at), `point ${at}`).toBe('SIGKILL')
    const intents = existsSync(place.journal)
      ? readJournal(place.journal).records.flatMap(r => (r.kind === 'intent' ? [r.step] : []))
      : []
    expect(await part(place, 0), `resumed after point ${at}`).toBe(0)
    expect(worldOf(place.dir), `world after point ${at}`).toEqual(goal)
    expect(destroyedTwice(place), `destroyed again after point ${at}`).toEqual([])
    // What was begun before the crash and is begun again must be told.
    const events = readFileSync(join(place.folder, 'events.ndjson'), 'utf8')
      .trim()
      .split('\n')
      .map(l => JSON.parse(l) as { code: string; step?: string })
    for (const step of intents) {
      const again = events.some(e => e.code === 'step-applying' && e.step === step)
      const told = events.some(
        e => (e.code === 'step-repeating' || e.code === 'step-moved') && e.step === step,
      )
      if (again) expect(told, `${step} repeated silently after point ${at}`).toBe(true)
    }
    rmSync(place.dir, { recursive: true })
    rmSync(place.folder, { recursive: true })
  }
  const queue = Array.from({ length: points }, (_, i) => i + 1).filter(at => at % stride === 0)
  const taken = queue.length
  const worker = async () => {
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) await crash(at)
  }
  await Promise.all([worker(), worker(), worker()])
  process.stdout.write(`engine: ${taken} of ${points} crash points, each killed with SIGKILL and resumed\n`)
})

test('killed again and again, a little further each time, it still gets there', {
  timeout: 1_800_000,
}, async () => {
  const place = fresh()
  let lives = 0
  for (let at = 3; ; at += stride === 1 ? 2 : stride) {
    lives += 1
    const end = await part(place, at)
    if (end === 0) break
    expect(end).toBe('SIGKILL')
    expect(lives).toBeLessThan(200)
  }
  expect(lives).toBeGreaterThan(5)
  expect(worldOf(place.dir)).toMatchObject({
    sign: 'open, 2 pots',
    'south-pot': 'pot for south S-south, fired',
  })
  expect(destroyedTwice(place)).toEqual([])
})
