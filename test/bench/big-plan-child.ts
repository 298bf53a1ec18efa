import { makePlan } from '../../src/runbook/make-plan.ts'
import { madeUp, numbers, Reader, randomNeeds } from './made-up-steps.ts'

// A third is done already, the rest is due: both kinds of entries, and looks that depend on earlier ones.
const count = 10_000
const runbook = madeUp({ needs: randomNeeds(count, 200, numbers(7)) })
const made = new Set(Array.from({ length: count }, (_, i) => i).filter(i => i % 3 === 0))
const began = performance.now()
const plan = await makePlan({
  runbook,
  readers: { world: new Reader(made) },
  now: new AbortController().signal,
})
const ms = performance.now() - began
const { maxRSS } = process.resourceUsage()
process.stdout.write(JSON.stringify({ entries: plan.entries.length, maxRssKib: maxRSS, ms }))
