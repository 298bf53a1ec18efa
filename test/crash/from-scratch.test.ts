import { beforeAll, expect, test } from 'vitest'
import { changesToDieAt } from './changes-to-die-at.ts'
import { crash, dieAtEach, forEach, type Golden, rehearseWhole } from './expedition.ts'
import { judge } from './judge.ts'
import { lookOnly } from './look-only.ts'
import { isOfChange, Place } from './place.ts'

// Each waits for its own disk, lab and programs a part of the time, and other files are at work beside.
const atOnce = 2

let golden: Golden

beforeAll(async () => {
  golden = await rehearseWhole()
})

test('killed at any point and resumed by a new process, the run ends in the same world', async () => {
  const { points, distinct } = golden
  expect(points.length).toBeGreaterThan(300)
  expect(distinct.length).toBeGreaterThan(150)
  let planned = 0
  const changes = changesToDieAt(golden.changes, /./)
  expect(changes.length).toBeGreaterThan(30)
  const all = [...distinct, ...changes]
  const { wrong, unmet, runs } = await dieAtEach(all, atOnce, those => crash(golden, those), {
    points: distinct.filter((_, i) => i % 10 === 7),
    die: those =>
      crash(golden, those, async place => {
        planned += 1
        return lookOnly(place)
      }),
  })
  process.stdout.write(
    `from scratch: ${distinct.length} distinct of ${points.length} crash points and ${changes.length} in the middle of effects, ${all.length - unmet.length} killed with SIGKILL and resumed, in ${runs} runs; at ${planned} of them a plan was made before, which changed nothing\n`,
  )
  expect(wrong).toEqual({})
  expect(unmet.length).toBeLessThan(10)
  expect(unmet.filter(isOfChange)).toEqual([])
  expect(planned).toBeGreaterThanOrEqual(15)
})

test('killed again and again, a little further each time, it still gets there', async () => {
  const place = new Place()
  let lives = 1
  try {
    let end = await place.live('rehearse', ['#4'])
    for (let at = 5; end === 'SIGKILL'; at += 1) {
      lives += 1
      expect(lives).toBeLessThan(200)
      end = await place.live('resume', [`#${at}`])
    }
    expect(end, place.complaints).toBe(0)
    expect(judge(place, golden.world)).toEqual([])
  } finally {
    place.remove()
  }
  expect(lives).toBeGreaterThan(10)
  process.stdout.write(`from scratch: finished by ${lives} processes, all but the last killed\n`)
})

test('with the process of its lab killed, too, a run goes on in the world that lies on the disk', async () => {
  const { points } = golden
  const spread = [0.1, 0.3, 0.5, 0.7, 0.9].map(part => points[Math.floor(points.length * part)] ?? '')
  const wrong: Record<string, string[]> = {}
  await forEach(spread, atOnce, async point => {
    const { unmet, wrong: found } = await crash(golden, [point], async place => {
      place.killLab()
      return []
    })
    if (unmet.length > 0 || found.length > 0) wrong[point] = found
  })
  expect(wrong).toEqual({})
})

test('with its lab killed under its hands, a run says what is amiss, and resuming finishes it', async () => {
  const wrong: Record<string, string[]> = {}
  const { points } = golden
  const spread = [0.15, 0.35, 0.55, 0.75, 0.85].map(part => Math.floor(points.length * part))
  await forEach(spread, atOnce, async at => {
    const place = new Place()
    try {
      const first = await place.live('rehearse', [`lab #${at}`])
      const last = first === 0 ? 0 : await place.goOn()
      const found = last === 0 ? judge(place, golden.world, { mayFail: true }) : [place.complaints]
      // 4: it stopped with failures that it names. Anything else would be a program that broke.
      if (first !== 4) found.push(`the run ended with ${first}`)
      if (found.length > 0) wrong[points[at] ?? ''] = found
    } finally {
      place.remove()
    }
  })
  expect(wrong).toEqual({})
})
