import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { recover, root, scratch } from './program.ts'

test('nas inspect: what the lab’s NAS says, and a recording that replaces no other', {
  timeout: 60_000,
}, async context => {
  const state = scratch(context)
  const line = ['nas', 'inspect', '--file', join(root, 'examples/home'), '--lab', '--json', '--record', state]
  const { exit, stdout, stderr } = await recover(line, state)
  expect([exit, stderr]).toEqual([0, ''])
  const said = JSON.parse(stdout) as { answers: { about: string; says: string }[]; recording: string }
  expect(said.answers).toContainEqual({
    about: 'LUN descriptions',
    says: '3 of 3 LUNs of the CSI driver name their claim',
  })
  expect(said.recording).toBe(join(state, 'nas.json'))
  const recorded = JSON.parse(readFileSync(said.recording, 'utf8')) as { format: number; exchanges: object[] }
  expect(recorded.format).toBe(1)
  expect(recorded.exchanges.length).toBeGreaterThan(20)
  expect(JSON.parse((await recover(line, state)).stdout)).toMatchObject({
    error: { code: 'recording-exists' },
  })
  rmSync(said.recording)
})
