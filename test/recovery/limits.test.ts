import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { limitsOf } from '../../runbooks/books.ts'
import type { ClusterFile } from '../../src/cluster/schema.ts'
import { scratch } from '../runbook/harness.ts'

function limits(timeouts: Record<string, string>) {
  const file = join(scratch('limits'), 'recover.yaml')
  const lines = Object.entries(timeouts).map(([id, limit]) => `  ${id}: ${limit}\n`)
  writeFileSync(file, `cluster: home\ntimeouts:\n${lines.join('')}`)
  return limitsOf({ file, entry: { timeouts } as unknown as ClusterFile })
}

it('a limit may be set for a step of any runbook, in milliseconds', () => {
  expect(limits({ 'applications/release': '1h', 'finalize/delete': '5m' })).toEqual({
    'applications/release': 3_600_000,
    'finalize/delete': 300_000,
  })
})

it('a limit for no step is refused where it stands, with the step that may be meant', () => {
  expect(() => limits({ 'applications/release': '1h', 'application/release': '2h' })).toThrow(
    expect.objectContaining({
      code: 'timeout-unknown',
      message:
        'recover.yaml:4:3: a limit for application/release, which is no step of a runbook; did you mean applications/release?',
    }),
  )
})
