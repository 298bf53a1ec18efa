import { describe, expect, it } from 'vitest'
import { linesView } from '../../src/views/lines.ts'
import { widthOf } from '../../src/views/live-fit.ts'
import { goodRun, homeEnd, homeMidRun, type Line, manyHosts } from './script.ts'

function linesOf(script: Line[], columns: number): string {
  let out = ''
  const view = linesView({ columns, colour: false, write: text => (out += text) })
  for (const line of script) if (typeof line !== 'number') view.event({ ...line, atMs: 0 })
  return out
}

describe.each([80, 120])('the lines view, %i columns wide', columns => {
  it('says one thing a line', async () => {
    const out = linesOf([...homeMidRun, ...homeEnd], columns)
    for (const line of out.split('\n')) expect(widthOf(line), line).toBeLessThanOrEqual(columns)
    await expect(out).toMatchFileSnapshot(`frames/lines-${columns}.txt`)
  })
})

describe('the lines view', () => {
  it.each([
    ['a run that fails', [...homeMidRun, ...homeEnd]],
    ['a run that finishes', goodRun],
    ['forty hosts', manyHosts(40)],
  ])('loses no step that was done or failed: %s', (_, script) => {
    const out = linesOf(script, 1_000)
    const titles = new Map<string, string>()
    let seen = 0
    for (const line of script) {
      if (typeof line === 'number') continue
      if (line.code === 'steps-known') for (const step of line.steps) titles.set(step.id, step.title)
      if (line.code === 'step-done') {
        expect(out).toContain(`✔ ${titles.get(line.step)}: ${line.evidence}`)
        seen += 1
      }
      if (line.code === 'step-failed') {
        expect(out).toContain(`✖ ${titles.get(line.step)}: ${line.fault.message} [${line.fault.code}]`)
        expect(out).toContain(line.fault.remedy)
        seen += 1
      }
    }
    expect(out.match(/^ {2}(✔|✖) .*: /gm)).toHaveLength(seen)
  })

  it('tells a warning where it is found, and all of them once more at the end with what to do', () => {
    const warning = (message: string) =>
      ({ code: 'leak', blame: 'operator', message, remedy: 'Mend it' }) as const
    const looked = (step: string, message: string): Line => ({
      code: 'step-done',
      step,
      how: 'already',
      evidence: 'it floats',
      tookMs: 1,
      warnings: [warning(message)],
    })
    const out = linesOf(
      [
        looked('a', 'a small leak'),
        looked('b', 'a hole'),
        { code: 'run-ended', run: 'r', state: 'finished', failed: [], left: 0, tookMs: 1_000 },
      ],
      1_000,
    )
    expect(out.trimEnd().split('\n')).toEqual([
      '  ✔ a: it floats',
      '  ⚠ a small leak [leak]',
      '  ✔ b: it floats',
      '  ⚠ a hole [leak]',
      'Warnings',
      '  ⚠ a: a small leak [leak]',
      '    What to do: Mend it',
      '  ⚠ b: a hole [leak]',
      '    What to do: Mend it',
      '  ✔ Run r is finished, after 1.0 s',
    ])
  })

  it('keeps what a machine answered on its line', () => {
    const out = linesOf(
      [{ code: 'step-note', step: 'a', text: 'one\ntwo\r\u001b[2J\u001b[31mthree\u001b[0m' }],
      80,
    )
    expect(out).toBe('  · a: one two three\n')
  })
})
