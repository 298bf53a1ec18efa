import { join } from 'node:path'
import { runPart } from '../runbook/harness.ts'
import { type Measurement, median, round } from './bound.ts'
import { madeUp, numbers, Reader, randomNeeds, Writer } from './made-up-steps.ts'

/** How near a random graph of 1,000 steps, each taking 50 to 250 ms, comes to its longest chain of needs. */
export async function measureCriticalPath(folder: string, rounds: number): Promise<Measurement> {
  const rows: { wall: number; path: number }[] = []
  for (let i = 0; i < rounds; i += 1) {
    const random = numbers(2_026 + i)
    const needs = randomNeeds(1_000, 100, random)
    const takes = needs.map(() => 50 + Math.floor(random() * 200))
    const made = new Set<number>()
    const began = performance.now()
    const { state } = await runPart(
      join(folder, `graph-${i}.ndjson`),
      madeUp({ needs, takes }),
      { world: new Reader(made) },
      { world: new Writer(made) },
    )
    const wall = performance.now() - began
    if (state !== 'finished') throw new Error(`the run ended as ${state}`)
    rows.push({ wall, path: longest(needs, takes) })
  }
  return {
    name: 'a random graph of 1000 steps, against its critical path',
    value: round(median(rows.map(r => r.wall / r.path)), 3),
    unit: 'x',
    bound: { atMost: 1.02 },
    from: { wall: round(median(rows.map(r => r.wall))), path: median(rows.map(r => r.path)), rounds },
  }
}

/** The longest chain in the times as asked for, so that late timers count against the engine, too. Milliseconds. */
function longest(needs: number[][], takes: number[]): number {
  const ends: number[] = []
  for (const [i, list] of needs.entries()) ends.push(Math.max(0, ...list.map(n => ends[n]!)) + takes[i]!)
  return Math.max(...ends)
}
