import { expect, test } from 'vitest'
import { crash, forEach, rehearseWhole } from '../crash/expedition.ts'

// One in so many; `npm run test:crash` takes them all.
const every = 122
const sample = [1, 2, 3].map(i => i * every - every / 2)

test('killed at a few points of the whole run and resumed by a new process, it ends in the same world', {
  timeout: 180_000,
}, async () => {
  const golden = rehearseWhole()
  const wrong: Record<string, string[]> = {}
  await Promise.all([
    golden,
    forEach(sample, 2, async at => {
      const result = await crash(golden, `#${at}`)
      if (result.unmet || result.wrong.length > 0) wrong[`point ${at}`] = result.wrong
    }),
  ])
  expect(wrong).toEqual({})
  process.stdout.write(
    `from scratch: ${sample.length} of ${(await golden).points.length} crash points, each killed with SIGKILL and resumed\n`,
  )
})
