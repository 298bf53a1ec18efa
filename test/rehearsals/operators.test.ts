import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { recover } from '../cli/program.ts'
import { homeOf, recordsNow, rehearseAt } from '../recovery/home.ts'

test('a second operator is told who is at work, and may wait', async context => {
  const home = homeOf(context)
  let answer: (agreed: undefined) => void = () => {}
  const asked = new Promise<void>(resolve => {
    void rehearseAt(home, {
      consent: () =>
        new Promise(decide => {
          answer = decide
          resolve()
        }),
    })
  })
  await asked
  const [run = ''] = readdirSync(join(home.state, 'recover', 'runs'))

  const second = await recover(['rehearse', home.file], home.state)
  expect(second.exit).toBe(6)
  expect(second.stderr).toContain('[locked]')
  expect(second.stderr).toContain(`${userInfo().username}@${hostname()} (process ${process.pid})`)
  expect(second.stderr).toContain(run)
  expect(second.stderr).toContain('--lock-timeout')
  expect(readdirSync(join(home.state, 'recover', 'runs'))).toEqual([run])

  const events = join(home.state, 'third.ndjson')
  const third = recover(
    ['rehearse', home.file, '--lock-timeout', '60s', '--json-into', events],
    home.state,
    ({ signalAt }) => signalAt('Snapshot the disk', 'SIGINT'),
  )
  await expect
    .poll(() => existsSync(events) && readFileSync(events, 'utf8'), { timeout: 120_000 })
    .toContain('Waiting for the lock')
  expect(readFileSync(events, 'utf8')).not.toContain('run-started')
  answer(undefined)
  // Its turn came: it began a run of its own, until it was stopped.
  expect((await third).exit).toBe(130)
  expect(readFileSync(events, 'utf8')).toContain('run-started')
})

test('the lock of a process that was killed is taken over with a notice, and its run goes on', async context => {
  const home = homeOf(context)
  const first = await recover(['rehearse', home.file], home.state, ({ signalAt }) =>
    signalAt('Snapshot the disk', 'SIGKILL'),
  )
  expect(first.exit).toBeNull()
  const locks = join(home.state, 'recover', 'locks')
  expect(readdirSync(locks)).toEqual(['home.rehearsal'])
  const second = await recover(['resume'], home.state, ({ signalAt }) =>
    signalAt('Get an installer running', 'SIGINT'),
  )
  expect(second.stderr).toMatch(/Took over the lock of run \S+: its process \d+ on \S+ is no more/)
  expect(second.exit).toBe(130)
  expect(readdirSync(locks)).toEqual([])
  expect(recordsNow().at(-1)).toMatchObject({ kind: 'ended', state: 'stopped', failed: [] })
})
