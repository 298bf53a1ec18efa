import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type KeptLab, keepLab } from '../../src/lab/keeper.ts'
import type { PlanEntry } from '../../src/runbook/plan.ts'
import { judge } from './judge.ts'
import { child, Place } from './place.ts'
import { bytesOf, type ComparableWorld } from './world.ts'

let points: string[] = []
let goal: ComparableWorld
const places: Place[] = []

function fresh(): Place {
  const place = new Place()
  places.push(place)
  return place
}

beforeAll(async () => {
  expect(existsSync(child), 'the test needs the build: npm run setup').toBe(true)
  const whole = fresh()
  expect(await whole.live('rehearse'), whole.complaints).toBe(0)
  points = whole.points
  goal = whole.world
  expect(judge(whole, goal)).toEqual([])
  whole.remove()
})

afterAll(() => {
  for (const place of places) place.remove()
})

/** Two cores bear three runs at once: each waits for its own disk and lab half of the time. */
const atOnce = Number(process.env.CRASH_AT_ONCE ?? 3)

async function forEach<T>(things: readonly T[], action: (thing: T) => Promise<void>): Promise<void> {
  const queue = [...things]
  const worker = async () => {
    for (let thing = queue.shift(); thing !== undefined; thing = queue.shift()) await action(thing)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

test('killed at any point and resumed by a new process, the run ends in the same world', async () => {
  expect(points.length).toBeGreaterThan(300)
  const wrong: Record<string, string[]> = {}
  let unmet = 0
  let looked = 0
  let done = 0
  const wanted = points.filter(
    (_, i) => i % Number(process.env.CRASH_EVERY ?? 1) === Number(process.env.CRASH_FROM ?? 0),
  )
  await forEach(wanted, async point => {
    const place = fresh()
    const end = await place.live('rehearse', point)
    const found: string[] = []
    // Steps run side by side: a run may take a note more or less, and end before the last of another run's records.
    if (end === 0) unmet += 1
    else if (end !== 'SIGKILL') found.push(`the first process ended with ${end}: ${place.complaints}`)
    else {
      if (points.indexOf(point) % 15 === 7) {
        looked += 1
        found.push(...(await lookOnly(place)))
      }
      const last = await place.toTheEnd()
      if (last !== 0) found.push(`the next process ended with ${last}: ${place.complaints}`)
    }
    if (found.length === 0) found.push(...judge(place, goal))
    if (found.length > 0) wrong[point] = found
    place.remove()
    done += 1
    if (process.env.CRASH_TELL) process.stderr.write(`${done} ${point}: ${found.join('\n   ') || 'ok'}\n`)
  })
  expect(wrong).toEqual({})
  expect(unmet).toBeLessThan(10)
  process.stdout.write(
    `from scratch: ${points.length} crash points, ${wanted.length - unmet} killed with SIGKILL and resumed, ${looked} planned before\n`,
  )
})

/** Plans on a run that was broken off, and says what that changed or could not answer. */
async function lookOnly(place: Place): Promise<string[]> {
  const lab = await keepLab(place.labFolder, { start: false })
  if (!lab) return ['the lab did not outlive the run']
  const before = await quiet(lab)
  const bytes = () => bytesOf(place.stateFolder, path => path === place.labFolder)
  const bytesBefore = bytes()
  const end = await place.live('plan')
  if (end !== 0) return [`planning ended with ${end}: ${place.complaints}`]
  const after = await lab.mutations()
  const { again, anew } = place.plans
  return [
    ...(JSON.stringify(after) === JSON.stringify(before)
      ? []
      : [`planning changed the world: ${JSON.stringify(after)}, was ${JSON.stringify(before)}`]),
    ...(bytes() === bytesBefore ? [] : ['planning changed the run’s folder']),
    ...unmeetable('resume --dry-run', again.entries),
    ...unmeetable('a new plan', anew.entries),
  ]
}

/** Steps that a plan calls blocked, or that wait for what the plan does not hold or calls done. */
function unmeetable(plan: string, entries: PlanEntry[]): string[] {
  const states = new Map(entries.map(e => [e.step, e.state]))
  return entries.flatMap(e => {
    if (e.state === 'blocked') return [`${plan}: ${e.step} is blocked: ${e.fault.message}`]
    if (e.state !== 'unknown') return []
    const first = [...states].find(
      ([id, state]) => (id === e.until || id.startsWith(`${e.until}[`)) && state !== 'done',
    )
    return first ? [] : [`${plan}: ${e.step} waits for ${e.until}, which is nothing that is still to be done`]
  })
}

/** What a program of the dead process's had under way (k0sctl lives a moment longer) must not be taken for the plan's. */
async function quiet(lab: KeptLab): Promise<Awaited<ReturnType<KeptLab['mutations']>>> {
  for (let last = await lab.mutations(); ; ) {
    await new Promise(resolve => setTimeout(resolve, 400))
    const now = await lab.mutations()
    if (JSON.stringify(now) === JSON.stringify(last)) return now
    last = now
  }
}

test('killed again and again, a little further each time, it still gets there', async () => {
  const place = fresh()
  let lives = 1
  let end = await place.live('rehearse', '#4')
  for (let at = 5; end === 'SIGKILL'; at += 1) {
    lives += 1
    expect(lives).toBeLessThan(200)
    end = await place.live('resume', `#${at}`)
  }
  expect(end, place.complaints).toBe(0)
  expect(judge(place, goal)).toEqual([])
  expect(lives).toBeGreaterThan(10)
  process.stdout.write(`from scratch: finished by ${lives} processes, all but the last killed\n`)
})

test('with its lab killed in the middle, a run stops or goes on, and ends in the same world', async () => {
  const spread = [0.1, 0.3, 0.5, 0.7, 0.9].map(part => points[Math.floor(points.length * part)] ?? '')
  await forEach(spread, async point => {
    const place = fresh()
    expect(await place.live('rehearse', point)).toBe('SIGKILL')
    place.killLab()
    expect(await place.toTheEnd(), `${point}: ${place.complaints}`).toBe(0)
    expect(judge(place, goal), point).toEqual([])
  })
})
