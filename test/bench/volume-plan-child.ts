import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromScratch } from '../../runbooks/from-scratch.ts'
import { makePlan } from '../../src/runbook/make-plan.ts'
import { homeOf } from './volume-home.ts'

// The plan of a whole recovery with as many volumes as are asked for, by its own runbook: which LUN is whose, by Git and by
// the NAS, and six steps for each. `node volume-plan-child.js COUNT FOLDER`.
const folder = process.argv[3] ?? '.'
const plan = await makePlan({
  runbook: fromScratch,
  readers: homeOf(Number(process.argv[2]), folder),
  now: new AbortController().signal,
})
writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan))
