import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Measurement, round } from './bound.ts'

/** Peak memory of a process that plans 10,000 steps: resident set, in units of 10^6 bytes. */
export function measureBigPlan(): Measurement {
  const child = fileURLToPath(new URL('./big-plan-child.js', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [child], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`planning failed: ${stderr}`)
  const seen = JSON.parse(stdout) as { entries: number; maxRssKib: number; ms: number }
  if (seen.entries !== 10_000) throw new Error(`the plan has ${seen.entries} entries`)
  return {
    name: 'a plan of 10000 steps, peak memory',
    value: round((seen.maxRssKib * 1024) / 1e6, 1),
    unit: 'MB',
    bound: { atMost: 250 },
    from: { planned: round(seen.ms), entries: seen.entries },
  }
}
