import { afterEach, describe, expect, it, vi } from 'vitest'
import { liveView } from '../../src/views/live.ts'
import { widthOf } from '../../src/views/live-fit.ts'
import { drawable } from '../../src/views/terminal.ts'
import type { View } from '../../src/views/view.ts'
import { FakeClock, FakeScreen } from './fake-screen.ts'
import { goodRun, homeEnd, homeMidRun, type Line, manyHosts, started } from './script.ts'

const opened: View[] = []
afterEach(async () => {
  for (const view of opened.splice(0)) await view.close()
})

/** A view on a screen of its own that has drawn a frame after the script. */
async function play(script: Line[], columns: number, rows = 40) {
  const screen = new FakeScreen(columns, rows)
  const clock = new FakeClock()
  const view = liveView(screen, { clock })
  opened.push(view)
  const say = (lines: Line[]) => {
    for (const line of lines)
      if (typeof line === 'number') clock.pass(line)
      else view.event({ ...line, atMs: clock.now() })
  }
  say(script.slice(0, 1))
  await clock.started
  await new Promise(setImmediate)
  say(script.slice(1))
  clock.pass(0)
  return { screen, clock, view, say }
}

/** Every row of a screen, each checked against its width. */
function rowsOf(screen: FakeScreen): string[] {
  const rows = screen.shown.split('\n')
  for (const row of rows) expect(widthOf(row), row).toBeLessThanOrEqual(screen.columns)
  return rows
}

describe.each([80, 120])('the live view, %i columns wide', columns => {
  it('shows phases, steps at work, countdowns, and what a person must do', async () => {
    const { screen } = await play(homeMidRun, columns)
    rowsOf(screen)
    expect(screen.cursor).toBe('hidden')
    await expect(screen.shown).toMatchFileSnapshot(`frames/live-mid-run-${columns}.txt`)
  })

  it('leaves the phases and what the lines view says of the end', async () => {
    const { screen, say, view, clock } = await play(homeMidRun, columns)
    say(homeEnd)
    await view.close()
    rowsOf(screen)
    expect(screen.cursor).toBe('shown')
    expect(clock.waited).toBe(0)
    await expect(screen.shown).toMatchFileSnapshot(`frames/live-end-${columns}.txt`)
  })

  it('shows forty hosts in less than thirty rows', async () => {
    const { screen, say, view } = await play(manyHosts(40), columns)
    const rows = rowsOf(screen)
    expect(rows.length).toBeLessThan(30)
    await expect(screen.shown).toMatchFileSnapshot(`frames/live-forty-hosts-${columns}.txt`)
    say([{ code: 'run-ended', run: 'r', state: 'stopped', failed: [], left: 100, tookMs: 1 }])
    await view.close()
    rowsOf(screen)
  })
})

describe('the live view', () => {
  it('counts down, and never below its limit', async () => {
    const { screen, clock } = await play(homeMidRun, 100)
    expect(screen.shown).toMatch(/lithium: waiting for the installer .*, 8 min 55 s left/)
    clock.pass(1_000)
    expect(screen.shown).toMatch(/lithium: waiting for the installer .*, 8 min 54 s left/)
    clock.pass(3_600_000)
    expect(screen.shown).toMatch(/lithium: waiting for the installer .*, at its limit/)
  })

  it('shows a finished run as such', async () => {
    const { screen, view } = await play(goodRun, 80)
    await view.close()
    await expect(screen.shown).toMatchFileSnapshot('frames/live-finished-80.txt')
  })

  it('shows the last warning while it works, and all of them when it is over', async () => {
    const { screen, say, view, clock } = await play(homeMidRun, 100)
    const looked = (step: string, message: string): Line => ({
      code: 'step-done',
      step,
      how: 'already',
      evidence: 'it is so',
      tookMs: 1,
      warnings: [{ code: 'leak', blame: 'operator', message, remedy: 'Mend it' }],
    })
    say([looked('preflight/nas', 'a small leak'), looked('evidence/map', 'a hole')])
    clock.pass(1_000)
    expect(screen.shown).toMatch(/^⚠ a hole \[leak\], and 1 more at the end$/m)
    say([{ code: 'run-ended', run: 'r', state: 'finished', failed: [], left: 0, tookMs: 1 }])
    await view.close()
    expect(screen.shown).toContain(
      'Warnings\n  ⚠ Reach the NAS: a small leak [leak]\n    What to do: Mend it\n',
    )
    expect(screen.shown).toContain('⚠ Map the volumes: a hole [leak]')
  })

  it('gives the screen away while a person is asked, and does not write over the question', async () => {
    const { screen, say, clock } = await play(homeMidRun, 80)
    say(homeEnd.slice(0, 4))
    expect(screen.cursor).toBe('shown')
    expect(screen.shown).toBe('')
    screen.write('This would be destroyed: lithium\n')
    screen.write('  disk lithium /dev/nvme0n1: ')
    screen.write('lithium /dev/nvme0n1\n')
    clock.pass(60_000)
    expect(screen.shown).toBe(
      'This would be destroyed: lithium\n  disk lithium /dev/nvme0n1: lithium /dev/nvme0n1',
    )
    say(homeEnd.slice(4, 7))
    clock.pass(200)
    expect(screen.cursor).toBe('hidden')
    const rows = rowsOf(screen)
    expect(rows[1]).toContain('lithium /dev/nvme0n1: lithium')
    expect(rows[2]).toMatch(/^Run 2026-03-01-quiet-otter/)
    expect(screen.shown).toMatch(/Install Flatcar on lithium: 310 of 512 MiB/)
    expect(screen.shown.match(/^Run /gm)).toHaveLength(1)
  })

  it('waits until the last of several questions is answered or given up', async () => {
    const { screen, say, clock } = await play(homeMidRun, 80)
    const victim = (name: string) => ({ kind: 'disk', name, identity: {}, content: [] })
    say([
      { code: 'consent-needed', step: 'hosts/install[lithium]', victims: [victim('a')] },
      { code: 'consent-needed', step: 'hosts/install[beryllium]', victims: [victim('b')] },
      { code: 'consent-given', by: 'ann', how: 'typed', victims: [victim('b')] },
      200,
    ])
    expect(screen.shown).toBe('')
    say([
      {
        code: 'step-failed',
        step: 'hosts/install[lithium]',
        fault: { code: 'consent-missing', blame: 'operator', message: 'nobody agreed', remedy: 'Answer' },
        tookMs: 1,
      },
    ])
    clock.pass(200)
    expect(screen.shown).toContain('✖ Install Flatcar on lithium: nobody agreed [consent-missing]')
  })

  it.each([40, 24, 16, 10, 5, 2])('keeps within a window of %i rows', async rows => {
    // The screen throws when the cursor would leave the window: such a frame could never be taken back.
    const { screen, clock } = await play(manyHosts(40), 80, rows)
    clock.pass(1_000)
    clock.pass(1_000)
    expect(rowsOf(screen).length).toBeLessThan(rows)
    expect(screen.shown.match(/^Run /gm)).toHaveLength(1)
  })

  it.each([80, 30, 12])('keeps within %i columns', async columns => {
    const { screen } = await play(homeMidRun, columns, 60)
    expect(rowsOf(screen).length).toBeLessThan(30)
  })

  it('shows every failure and every call for a hand, or how many more there are', async () => {
    const { screen } = await play(manyHosts(40), 80)
    const shown = screen.shown.replaceAll(/\n {2}/g, ' ')
    const failed = shown.match(/^✖ Bring up/gm)?.length ?? 0
    const hands = shown.match(/^☞ Put the stick/gm)?.length ?? 0
    expect(failed).toBeGreaterThan(0)
    expect(hands).toBeGreaterThan(0)
    expect(failed + Number(/^✖ (\d+) more failed/m.exec(shown)?.[1])).toBe(10)
    expect(hands + Number(/^☞ (\d+) more need you/m.exec(shown)?.[1])).toBe(10)
  })

  it('keeps a call for a hand until its step is done', async () => {
    const { screen, say } = await play(homeMidRun, 80)
    expect(screen.shown).toContain('☞ Put the stick')
    say([
      { code: 'step-note', step: 'hosts/installer[beryllium]', text: 'something answers' },
      200,
      {
        code: 'step-done',
        step: 'hosts/installer[beryllium]',
        how: 'applied',
        evidence: 'it answers',
        tookMs: 1,
      },
    ])
    expect(screen.shown).toContain('☞ Put the stick')
    say([200])
    expect(screen.shown).not.toContain('☞ Put the stick')
  })

  it('keeps a call for a hand whose step has failed, to the end', async () => {
    const { screen, say, view } = await play(homeMidRun, 80)
    const fault = {
      code: 'wait-timed-out',
      blame: 'network' as const,
      message: 'nobody came',
      remedy: 'Come',
    }
    say([{ code: 'step-failed', step: 'hosts/installer[beryllium]', fault, tookMs: 1 }, 200])
    expect(screen.shown).toContain('☞ Put the stick')
    await view.close()
    expect(screen.shown).toContain('☞ Put the stick')
  })

  it('takes a phase back to work when a fan-out adds steps to it', async () => {
    const { screen, say } = await play(homeMidRun.slice(0, 8), 80)
    expect(screen.shown).toMatch(/^✔ Preflight {5}2 of 2 steps/m)
    const step = {
      id: 'preflight/tang[a]',
      phase: 'preflight',
      title: 'Reach Tang',
      danger: 'reads' as const,
    }
    say([{ code: 'steps-known', steps: [{ ...step, expectedMs: 1_000 }] }, 200])
    expect(screen.shown).toMatch(/^▸ Preflight {5}2 of 3 steps/m)
  })

  it('does not let what a machine answered break the frame', async () => {
    const { screen, say, clock } = await play(homeMidRun, 80)
    const before = rowsOf(screen).length
    say([
      {
        code: 'step-note',
        step: 'protect/snapshot[gitea]',
        text: 'a\nb\r\u001b[2J\u001b]0;title\u0007\u001b[31mred\u001b[0m 雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪雪',
      },
    ])
    clock.pass(200)
    expect(rowsOf(screen)).toHaveLength(before)
    expect(screen.shown).toContain('Snapshot gitea/repositories: a b')
  })

  it('erases a frame whole after the window was made narrower', async () => {
    const { screen, clock } = await play(homeMidRun, 120, 60)
    // As terminals do: what was one row of 119 columns is folded into two of 80.
    const folded = screen.shown.split('\n').flatMap(row => row.match(/.{1,80}/g) ?? [''])
    const narrow = new FakeScreen(80, 60)
    narrow.write(`${folded.join('\n')}\n`)
    screen.columns = 80
    screen.write = text => narrow.write(text)
    clock.pass(1_000)
    expect(narrow.shown.match(/^Run /gm)).toHaveLength(1)
    rowsOf(narrow)
  })

  it('writes nothing when nothing differs', async () => {
    const { screen, clock } = await play(homeMidRun, 80)
    const { writes } = screen
    clock.pass(0)
    clock.pass(0)
    expect(screen.writes).toBe(writes)
  })

  it('goes on in lines when a frame cannot be drawn', async () => {
    const { screen, clock, say, view } = await play(homeMidRun, 80)
    Object.defineProperty(screen, 'rows', {
      get() {
        throw new Error('not a terminal any more')
      },
    })
    clock.pass(1_000)
    expect(screen.cursor).toBe('shown')
    say(homeEnd)
    await view.close()
    expect(screen.shown).toContain('✔ Install Flatcar on lithium: Flatcar 4230.2.1 on disk')
    expect(screen.shown.match(/cannot go on, with 5 steps left/g)).toHaveLength(1)
    expect(clock.waited).toBe(0)
  })

  it('never throws into the run, even when nothing can be written at all', async () => {
    const { screen, say, clock, view } = await play(homeMidRun, 80)
    screen.write = () => {
      throw new Error('EPIPE')
    }
    expect(() => {
      clock.pass(1_000)
      say(homeEnd)
    }).not.toThrow()
    await expect(view.close()).resolves.toBeUndefined()
  })

  it('tells what comes before the run in lines', async () => {
    const screen = new FakeScreen(80, 24)
    const view = liveView(screen, { clock: new FakeClock() })
    view.event({ code: 'notice', about: 'lock', text: 'Waiting for the lock of bob', atMs: 0 })
    await view.close()
    expect(screen.shown).toBe('  · Waiting for the lock of bob')
  })

  it('closes a run that never said its end, and puts the cursor back', async () => {
    const listeners = process.listenerCount('exit')
    const { screen, view } = await play(homeMidRun, 80)
    expect(process.listenerCount('exit')).toBe(listeners + 1)
    await view.close()
    await view.close()
    expect(process.listenerCount('exit')).toBe(listeners)
    expect(screen.cursor).toBe('shown')
    expect(screen.shown.match(/^Run /gm)).toHaveLength(1)
    expect(screen.shown).toMatch(/^… Protect /m)
  })

  it('leaves Ctrl-C to the run', async () => {
    const before = process.listenerCount('SIGINT')
    await play(homeMidRun, 80)
    expect(process.listenerCount('SIGINT')).toBe(before)
  })

  it('tells the end of a run that was over before the first frame', async () => {
    const screen = new FakeScreen(80, 24)
    const view = liveView(screen, { clock: new FakeClock() })
    for (const line of goodRun) if (typeof line !== 'number') view.event({ ...line, atMs: 0 })
    await view.close()
    expect(screen.shown).toContain('✔ Kubernetes')
    expect(screen.shown).toContain('✔ Run 2026-03-01-quiet-otter is finished')
  })

  it('draws two runs one after the other', async () => {
    const { screen, view, say, clock } = await play(goodRun, 80)
    say([{ ...started, run: 'second' } as Line])
    await vi.waitFor(() => expect(clock.waited).toBe(1), 30_000)
    await new Promise(setImmediate)
    clock.pass(200)
    await view.close()
    expect(screen.shown.match(/^Run /gm)).toHaveLength(2)
    expect(screen.shown.indexOf('is finished')).toBeLessThan(screen.shown.indexOf('Run second'))
  })
})

describe('the choice of the view', () => {
  const tty = { isTTY: true }
  it.each([
    ['a terminal', tty, {}, true],
    ['a pipe', { isTTY: false }, {}, false],
    ['CI with a terminal', tty, { CI: 'true' }, false],
    ['CI switched off', tty, { CI: 'false' }, true],
    ['a dumb terminal', tty, { TERM: 'dumb' }, false],
    ['NO_LIVE', tty, { NO_LIVE: '1' }, false],
  ])('%s', (_, stderr, env, live) => {
    expect(drawable({ stderr, env })).toBe(live)
  })
})
