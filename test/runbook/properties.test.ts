import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Fault } from '../../src/runbook/fault.ts'
import type { Journal } from '../../src/runbook/journal.ts'
import { makePlan } from '../../src/runbook/make-plan.ts'
import { phase, type Runbook, runbook } from '../../src/runbook/runbook.ts'
import { type AnyStep, done, due, kit } from '../../src/runbook/step.ts'
import { runPart, scratch } from './harness.ts'

interface World {
  done: Set<string>
  order: string[]
  /** Failures left, by step. */
  failing: Map<string, number>
  /** Points until this life ends; the process then "dies": nothing that it does later has an effect. */
  lifeLeft: number
}
class Reader {
  protected readonly world: World
  constructor(world: World) {
    this.world = world
  }
  isDone(id: string): boolean {
    return this.world.done.has(id)
  }
}
class Writer extends Reader {
  async make(id: string): Promise<void> {
    await live(this.world)
    const left = this.world.failing.get(id) ?? 0
    if (left > 0) {
      this.world.failing.set(id, left - 1)
      throw new Fault({ code: 'broken', blame: 'host', message: 'broken', remedy: 'again' })
    }
    this.world.done.add(id)
    this.world.order.push(id)
    await live(this.world)
  }
}

class Died extends Error {}

/** Ends this life at its point: what waits here never goes on. */
async function live(world: World): Promise<void> {
  world.lifeLeft -= 1
  if (world.lifeLeft === 0) world.died?.()
  if (world.lifeLeft <= 0) await new Promise(() => {})
}
interface World {
  died?: () => void
}

const { step } = kit<{ world: Reader }, { world: Writer }>()

/** A step for each list of earlier steps that it needs. */
function graph(needs: number[][], dangers: boolean[]): Runbook {
  const steps: AnyStep[] = []
  needs.forEach((list, i) => {
    const id = `all/s${i}`
    const common = {
      id,
      title: id,
      bounds: { expected: '1ms', limit: '10s' } as const,
      needs: [...new Set(list.map(n => n % Math.max(i, 1)))].filter(n => n < i).map(n => steps[n]!),
      output: z.strictObject({ id: z.string() }),
      observe: async ({ world }: { world: Reader }) =>
        world.isDone(id) ? done({ id }, `${id} is made`) : due(`make ${id}`),
      apply: ({ world }: { world: Writer }) => world.make(id),
    }
    steps.push(
      dangers[i]
        ? step({
            ...common,
            danger: 'destroys',
            victims: async () => [{ kind: 'thing', name: id, identity: { id }, content: [] }],
          })
        : step({ ...common, danger: 'changes' }),
    )
  })
  return runbook('random', 'Random', [phase('all', 'All', steps)])
}

const graphs = fc
  .array(fc.array(fc.nat(50), { maxLength: 4 }), { minLength: 1, maxLength: 25 })
  .chain(needs =>
    fc.record({
      needs: fc.constant(needs),
      dangers: fc.array(fc.boolean(), { minLength: 25, maxLength: 25 }),
    }),
  )

test('random graphs with random failures and crashes always resume to the same end, each step done once and after its needs', async () => {
  await fc.assert(
    fc.asyncProperty(
      graphs,
      fc.array(fc.tuple(fc.nat(24), fc.integer({ min: 1, max: 2 })), { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
      async ({ needs, dangers }, failures, lives) => {
        const book = graph(needs, dangers)
        const world: World = {
          done: new Set(),
          order: [],
          failing: new Map(failures.map(([s, times]) => [`all/s${s}`, times])),
          lifeLeft: 0,
        }
        const path = join(scratch('random'), 'journal.ndjson')
        // A dead process writes nothing more; what its last write had begun is on the disk before the next one reads.
        const mortal = (journal: Journal): Journal => {
          const died = world.died
          world.died = () => void journal.close().then(died)
          return {
            ...journal,
            append: record => (world.lifeLeft > 0 ? journal.append(record) : new Promise(() => {})),
          }
        }
        const part = (wrapJournal?: (journal: Journal) => Journal) =>
          runPart(
            path,
            book,
            { world: new Reader(world) },
            { world: new Writer(world) },
            wrapJournal ? { wrapJournal } : {},
          )
        for (const life of lives) {
          world.lifeLeft = life
          const death = new Promise<never>((_, reject) => {
            world.died = () => reject(new Died())
          })
          await Promise.race([part(mortal), death]).catch(e => {
            if (!(e instanceof Died)) throw e
          })
        }
        world.lifeLeft = Number.POSITIVE_INFINITY
        for (let tries = 0; tries < 12; tries += 1) if ((await part()).state === 'finished') break
        expect(world.done.size).toBe(needs.length)
        expect(new Set(world.order).size).toBe(world.order.length)
        const at = new Map(world.order.map((id, i) => [id, i]))
        for (const s of book.steps)
          for (const need of s.needs ?? []) expect(at.get(need.id)!).toBeLessThan(at.get(s.id)!)
      },
    ),
    { numRuns: 60 },
  )
}, 60_000)

test('a plan holds every step once, and none whose needs are not in it', async () => {
  await fc.assert(
    fc.asyncProperty(graphs, fc.array(fc.nat(24)), async ({ needs, dangers }, already) => {
      const book = graph(needs, dangers)
      const made = new Set(already.map(n => `all/s${n}`))
      const world: World = { done: made, order: [], failing: new Map(), lifeLeft: Number.POSITIVE_INFINITY }
      const plan = await makePlan({
        runbook: book,
        readers: { world: new Reader(world) },
        now: new AbortController().signal,
      })
      expect(plan.entries.map(e => e.step)).toEqual(book.steps.map(s => s.id))
      const before = new Set<string>()
      for (const entry of plan.entries) {
        for (const need of entry.needs) expect(before.has(need)).toBe(true)
        before.add(entry.step)
        expect(entry.state).toBe(made.has(entry.step) ? 'done' : 'due')
      }
      expect(plan.victims.map(v => v.name)).toEqual(
        plan.entries.filter(e => e.danger === 'destroys' && e.state === 'due').map(e => e.step),
      )
      expect(world.order).toEqual([])
    }),
    { numRuns: 60 },
  )
})
