import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { runPart } from '../runbook/harness.ts'
import { type Measurement, median, round } from './bound.ts'
import { madeUp, Reader, Writer } from './made-up-steps.ts'

const steps = 1_000
const oneByOne = madeUp({ needs: Array.from({ length: steps }, (_, i) => (i === 0 ? [] : [i - 1])) })
const together = madeUp({ needs: Array.from({ length: steps }, () => []), uses: 'place' })

/**
 * What a run costs beyond writing its records: one step after another against a bare loop that makes the same lines as
 * durable, and many at a time, whose records share flushes. A disk's flush time swings from second to second, so the
 * bare loop runs just before and just after what it is compared with, and every ratio is of one round.
 */
export async function measureJournalAndEngine(folder: string, rounds: number): Promise<Measurement[]> {
  const rows: { engine: number; bare: number; many: number; records: number }[] = []
  let lines: string[] = []
  for (let i = -1; i < rounds; i += 1) {
    const before = bareLoop(join(folder, `before-${i}.ndjson`), lines)
    const path = join(folder, `one-${i}.ndjson`)
    const engine = await run(path, oneByOne, 1)
    lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(1)
    const after = bareLoop(join(folder, `after-${i}.ndjson`), lines)
    const many = await run(join(folder, `many-${i}.ndjson`), together, 32)
    // The first round compiles, and finds out which lines there are.
    if (i >= 0) rows.push({ engine, bare: (before + after) / 2, many, records: lines.length })
  }
  const from = {
    engine: round(median(rows.map(r => r.engine))),
    bare: round(median(rows.map(r => r.bare))),
    many: round(median(rows.map(r => r.many))),
    records: rows[0]!.records,
    rounds,
  }
  return [
    {
      name: `${steps} steps one after another, against a bare loop of write and flush`,
      value: round(median(rows.map(r => r.engine / r.bare))),
      unit: 'x',
      bound: { atMost: 1.2 },
      from,
    },
    {
      name: `${steps} steps, 32 at a time, faster than one after another`,
      value: round(median(rows.map(r => r.engine / r.many))),
      unit: 'x',
      bound: { atLeast: 5 },
      from,
    },
  ]
}

async function run(path: string, book: typeof oneByOne, atOnce: number): Promise<number> {
  const made = new Set<number>()
  let began = 0
  let ended = 0
  const { state } = await runPart(
    path,
    book,
    { world: new Reader(made) },
    { world: new Writer(made) },
    {
      limits: { place: atOnce },
      sink: event => {
        if (event.code === 'run-started') began = performance.now()
        if (event.code === 'run-ended') ended = performance.now()
      },
    },
  )
  if (state !== 'finished' || made.size !== steps) throw new Error(`the run ended as ${state}`)
  return ended - began
}

/** The same lines, each durable before the next is written, as the simplest program would do it. Milliseconds. */
function bareLoop(path: string, lines: string[]): number {
  const { O_CREAT, O_EXCL, O_WRONLY, O_APPEND, O_DSYNC } = constants
  const fd = openSync(path, O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_DSYNC, 0o600)
  const began = performance.now()
  for (const line of lines) writeSync(fd, `${line}\n`)
  const took = performance.now() - began
  closeSync(fd)
  return took
}
