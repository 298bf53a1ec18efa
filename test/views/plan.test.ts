import { expect, test } from 'vitest'
import { showPlan, showVictims } from '../../src/views/plan.ts'

test('what a disk calls itself cannot act on the terminal of whoever is asked about it', () => {
  const shown = showVictims(
    [
      {
        kind: 'disk',
        name: 'lithium S\u001b[2J1',
        identity: { model: 'Evil\u001b]0;title\u0007\r\nThis would be kept:' },
        content: ['ext4 \u001b[31mROOT\u0000'],
      },
    ],
    { columns: 80, colour: false },
  )
  expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/)
  expect(shown.split('\n').filter(line => line.startsWith('This would be'))).toEqual([
    'This would be destroyed:',
  ])
})

test('warnings have a section of their own, with what to do', () => {
  const face = {
    step: 'sea/launch',
    phase: 'sea',
    title: 'Launch',
    danger: 'reads' as const,
    expectedMs: 0,
    needs: [],
  }
  const shown = showPlan(
    {
      runbook: 'sea',
      phases: [{ id: 'sea', title: 'Sea' }],
      entries: [
        {
          ...face,
          state: 'done',
          evidence: 'it floats',
          warnings: [{ code: 'leak', blame: 'operator', message: 'a small leak', remedy: 'Mend it' }],
        },
      ],
      victims: [],
      expectedMs: 0,
      hash: 'abc',
    },
    { columns: 80, colour: false },
  )
  expect(shown).toContain('\nWarnings\n  ⚠ Launch: a small leak [leak]\n    What to do: Mend it\n')
  expect(shown).toContain('1 done already, 1 to beware of;')
})
