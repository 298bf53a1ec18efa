import { join } from 'node:path'
import { expect, test } from 'vitest'
import { applicationSetHome, fluxHome, servedHome } from '../recovery/delivered-homes.ts'
import { changesToDieAt, everyChange } from './changes-to-die-at.ts'
import { crash, dieAtEach, rehearseWhole } from './expedition.ts'

const holdsAndReleases = /^(?:bootstrap\/hold-application|volumes\/let-through|applications\/)/

// `ends`: steps at whose end it dies, too; of those over many applications at one, unless every change is wanted.
test.for([
  { by: 'an ApplicationSet', home: applicationSetHome, steps: holdsAndReleases, ends: 4 },
  { by: 'Flux', home: fluxHome, steps: holdsAndReleases, ends: 3 },
  {
    by: 'Argo CD from the kit’s mirror',
    home: servedHome,
    steps: /^(?:bootstrap\/serve-repository|proof\/stop-serving)/,
    ends: 2,
  },
])(
  'killed in the middle and right after each hold and release, what $by brings comes after its data, and nothing is left of the way there',
  async ({ by, home, steps, ends }, context) => {
    const golden = await rehearseWhole({ home: join((await home(context)).file, '..') })
    const over = new Map<string, string>()
    for (const point of golden.points.filter(p => p.startsWith('after-effect ')).sort()) {
      const step = point.split(' ')[1] ?? ''
      const key = everyChange ? step : step.replace(/\[.*/, '')
      if (steps.test(step) && !over.has(key)) over.set(key, point)
    }
    expect(over.size).toBeGreaterThanOrEqual(ends)
    const points = [...over.values(), ...changesToDieAt(golden.changes, steps)]
    const { wrong, unmet, runs } = await dieAtEach(points, 2, those => crash(golden, those))
    process.stdout.write(
      `what ${by} brings: killed with SIGKILL at ${points.length - unmet.length} points and resumed, in ${runs} runs\n`,
    )
    // Steps are side by side, so that a run which dies at one may be past another; alone each of them is met.
    expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
  },
)
