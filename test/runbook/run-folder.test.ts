import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createRunFolder, listRunFolders, nameRun, openRunFolder } from '../../src/runbook/run-folder.ts'

test('runs that begin in the same second, or after a clock was set back, keep their order', context => {
  const state = mkdtempSync(join(tmpdir(), 'recover-runs-'))
  context.onTestFinished(() => rmSync(state, { recursive: true, force: true }))
  const begun = [
    '2026-11-23T23:59:59.100Z',
    '2026-11-23T23:59:59.100Z',
    '2026-11-23T23:59:59.900Z',
    '2026-11-20T08:00:00Z',
    '2026-11-25T08:00:00Z',
  ].map(at => {
    const folder = createRunFolder(state, nameRun(new Date(at), state))
    writeFileSync(folder.journal, '')
    return folder.run
  })
  expect(begun.map(run => run.slice(0, 15))).toEqual([
    '20261123-235959',
    '20261124-000000',
    '20261124-000001',
    '20261124-000002',
    '20261125-080000',
  ])
  expect(listRunFolders(state).map(r => r.run)).toEqual(begun)
  expect(openRunFolder(state).run).toBe(begun.at(-1))
})
