import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'vitest'
import { casesIn, expectSameAsButane } from './golden-case.ts'

const top = fileURLToPath(new URL('../../../../shared/butane', import.meta.url))
const there = existsSync(top)
if (!there)
  process.stdout.write('skipped: what Butane printed for inputs of others: it is not beside this checkout\n')

describe.skipIf(!there)('Butane 0.29.0 printed for', () => {
  test.each(there ? casesIn(top) : [])('%s', name => {
    const work = mkdtempSync(join(tmpdir(), 'recover-butane-'))
    try {
      expectSameAsButane(join(top, name), work)
    } finally {
      rmSync(work, { recursive: true })
    }
  })
})
