import { expect, test } from 'vitest'
import { nothingIsLeftRunning } from '../cli/left-running.ts'
import { recover, scratch } from '../cli/program.ts'

const time = { timeout: 10 * 60_000 }

test(
  'Ctrl-C once stops after what is going on, twice at once; both end with 130, and resume finishes',
  time,
  async test => {
    const state = scratch(test)
    const once = await recover(['rehearse', 'examples/home', '--json'], state, running =>
      running.signalAt('▸ Install Flatcar on', 'SIGINT'),
    )
    expect(once.stderr).toContain('stopping after what is going on now')
    expect(once.stderr).not.toContain('stopping at once')
    expect(once.exit, once.stderr).toBe(130)
    const stopped = JSON.parse(once.stdout)
    expect(stopped).toMatchObject({ state: 'stopped', failures: [] })
    expect(stopped.left).toBeGreaterThan(0)
    await nothingIsLeftRunning(state)

    const twice = await recover(['resume', '--json'], state, running => {
      // By a program of its own, which takes longer than it takes to press twice.
      running.signalAt('▸ Start the control plane', 'SIGINT')
      running.signalAt('stopping after what is going on now', 'SIGINT')
    })
    expect(twice.stderr).toContain('stopping at once')
    expect(twice.exit, twice.stderr).toBe(130)
    expect(JSON.parse(twice.stdout)).toMatchObject({ run: stopped.run, state: 'stopped', failures: [] })
    await nothingIsLeftRunning(state)

    const rest = await recover(['resume', stopped.run, '--json'], state)
    expect(rest.exit, rest.stderr).toBe(0)
    expect(JSON.parse(rest.stdout)).toMatchObject({
      run: stopped.run,
      state: 'finished',
      failures: [],
      left: 0,
    })
    await nothingIsLeftRunning(state)
  },
)

test('SIGTERM is Ctrl-C, too', time, async test => {
  const state = scratch(test)
  const ended = await recover(['rehearse', 'examples/home'], state, running =>
    running.signalAt('▸ ', 'SIGTERM'),
  )
  expect(ended.exit, ended.stderr).toBe(130)
  expect(ended.stderr).toMatch(/`recover resume \S+`/)
  await nothingIsLeftRunning(state)
})
