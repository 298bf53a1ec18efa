import { z } from 'zod'
import { phase, type Runbook, runbook } from '../../src/runbook/runbook.ts'
import { type AnyStep, done, due, kit } from '../../src/runbook/step.ts'

/** What is done, and how long the rest takes. */
export class Reader {
  protected readonly made: Set<number>
  constructor(made: Set<number> = new Set()) {
    this.made = made
  }
  has(step: number): boolean {
    return this.made.has(step)
  }
}

export class Writer extends Reader {
  async make(step: number, ms: number): Promise<void> {
    if (ms > 0) await new Promise(resolve => setTimeout(resolve, ms))
    this.made.add(step)
  }
}

export interface Shape {
  /** For every step the earlier steps that it needs. */
  needs: number[][]
  /** How long each step's effect takes, milliseconds; 0 when absent. */
  takes?: number[]
  /** A bounded resource that every step holds. */
  uses?: string
}

const { step } = kit<{ world: Reader }, { world: Writer }>()

/** A runbook of steps that change something in memory, so that what is left to measure is the engine. */
export function madeUp({ needs, takes = [], uses }: Shape): Runbook {
  const output = z.strictObject({ number: z.number() })
  const steps: AnyStep[] = []
  for (const [i, list] of needs.entries())
    steps.push(
      step({
        id: `all/step-${i}`,
        title: `Make ${i}`,
        danger: 'changes',
        bounds: { expected: '1s', limit: '1m' },
        needs: list.map(n => steps[n]!),
        ...(uses ? { uses: () => [uses] } : {}),
        output,
        async observe({ world }) {
          return world.has(i) ? done({ number: i }, `number ${i} is made`) : due(`make number ${i}`)
        },
        async apply({ world }) {
          await world.make(i, takes[i] ?? 0)
        },
      }),
    )
  return runbook('made-up', 'Made up', [phase('all', 'All', steps)])
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Random needs: up to three a step, among the `window` steps before it. */
export function randomNeeds(count: number, window: number, random: () => number): number[][] {
  return Array.from({ length: count }, (_, i) => {
    const near = Math.min(i, window)
    const some = Array.from({ length: Math.floor(random() * 4) }, () => i - 1 - Math.floor(random() * near))
    return near === 0 ? [] : [...new Set(some)]
  })
}
