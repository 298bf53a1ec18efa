import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measureBigPlan } from './big-plan.ts'
import { keepsBound, type Measurement } from './bound.ts'
import { measureCriticalPath } from './critical-path.ts'
import { measureJournalAndEngine } from './journal-and-engine.ts'
import { measureStart } from './start.ts'

// Run as dist/test/bench/main.js. Ends with exit code 1 when a bound is broken.
const { values: flags } = parseArgs({
  options: {
    /** Where the result goes as JSON; at the end of the output when absent. */
    json: { type: 'string' },
    /** Where journals are written; a folder on a real disk. */
    in: { type: 'string' },
  },
})
const root = fileURLToPath(new URL('../../../', import.meta.url))
const parent = flags.in ?? join(root, 'dist')
mkdirSync(parent, { recursive: true })
// tmpfs (linux/magic.h) has no disk to wait for: every ratio to a flush would be noise.
if (statfsSync(parent).type === 0x01021994)
  throw new Error(`${parent} is in memory; name a folder on a disk with --in`)
const folder = mkdtempSync(join(parent, 'bench-'))

const measurements: Measurement[] = []
try {
  measurements.push(...measureStart(join(root, 'bin', 'run.js'), 25))
  measurements.push(...(await measureJournalAndEngine(folder, 7)))
  measurements.push(await measureCriticalPath(folder, 3))
  measurements.push(measureBigPlan())
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const results = measurements.map(m => ({ ...m, kept: keepsBound(m) }))
const kept = results.every(r => r.kept)
const json = `${JSON.stringify({ kept, node: process.version, cores: availableParallelism(), results }, null, 2)}\n`
process.stdout.write(table(results))
if (flags.json === undefined) process.stdout.write(`\n${json}`)
else writeFileSync(flags.json, json)
process.exitCode = kept ? 0 : 1

function table(rows: (Measurement & { kept: boolean })[]): string {
  const cells = rows.map(({ name, value, unit, bound, kept: ok, from }) => [
    ok ? '✔' : '✖',
    name,
    `${value} ${unit}`,
    'atMost' in bound ? `at most ${bound.atMost} ${unit}` : `at least ${bound.atLeast} ${unit}`,
    Object.entries(from)
      .map(([key, number]) => `${key} ${number}`)
      .join(', '),
  ])
  const widths = [0, 1, 2, 3, 4].map(i => Math.max(...cells.map(row => row[i]!.length)))
  return cells
    .map(
      row =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
