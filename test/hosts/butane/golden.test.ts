import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { casesIn, expectSameAsButane } from './golden-case.ts'

// The inputs are ours; what stands beside them is what Butane 0.29.0 printed for them.
const top = fileURLToPath(new URL('golden', import.meta.url))

test('there are cases', () => {
  expect(casesIn(top).length).toBeGreaterThan(20)
})

test.each(casesIn(top))('%s', name => {
  const work = mkdtempSync(join(tmpdir(), 'recover-butane-'))
  try {
    expectSameAsButane(join(top, name), work)
  } finally {
    rmSync(work, { recursive: true })
  }
})
