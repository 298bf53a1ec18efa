import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { makePlan } from '../../src/runbook/make-plan.ts'
import { onlyPhases } from '../../src/runbook/only-phases.ts'
import { phase, runbook } from '../../src/runbook/runbook.ts'
import { type AnyStep, done, due, kit } from '../../src/runbook/step.ts'
import { runPart, scratch } from './harness.ts'

/** What there is, as a set of words; applying a step says its word. */
interface Words {
  words: Set<string>
}
const { step, fanOutFrom } = kit<Words, Words>()
const bounds = { expected: '1ms', limit: '5s' } as const
const output = z.strictObject({ of: z.array(z.string()) })

const change = (id: string, more: { needs?: readonly AnyStep[]; serves?: string[] } = {}) =>
  step({
    id,
    title: id,
    danger: 'changes',
    bounds,
    output,
    ...more,
    async observe({ words }) {
      return words.has(id) ? done({ of: ['a', 'b'] }, `${id} is there`) : due(`say ${id}`)
    },
    async apply({ words }) {
      words.add(id)
    },
  })

const look = step({
  id: 'look/around',
  title: 'look',
  danger: 'reads',
  bounds,
  output,
  observe: async () => done({ of: ['a', 'b'] }, 'looked'),
})
const keep = change('look/keep', { needs: [look], serves: ['build'] })
const guard = change('guard/stand', { needs: [look], serves: ['fill'] })
const ground = change('ground/dig', { needs: [look] })
const each = fanOutFrom(ground, { name: 'part', schema: z.string(), key: s => s, subjects: ({ of }) => of })
const build = step({
  id: 'build/wall',
  title: part => `build ${part}`,
  each,
  needs: [guard, keep],
  danger: 'changes',
  bounds,
  output: z.strictObject({}),
  observe: async ({ part, words }) => (words.has(`wall ${part}`) ? done({}, 'stands') : due(`build ${part}`)),
  async apply({ part, words }) {
    words.add(`wall ${part}`)
  },
})
const fill = change('fill/all', { needs: [build] })
const sweep = change('end/sweep', { needs: [fill], serves: ['build'] })
const close = change('end/close', { needs: [sweep] })
const book = runbook('house', 'A house', [
  phase('look', 'Look', [look, keep]),
  phase('guard', 'Guard', [guard]),
  phase('ground', 'Ground', [ground]),
  phase('build', 'Build', [build]),
  phase('fill', 'Fill', [fill]),
  phase('end', 'End', [sweep, close]),
])
const now = new AbortController().signal

test('its own steps, what they need to look at, what serves them; what serves others is left out', () => {
  expect(onlyPhases(book, ['build']).steps.map(s => [s.id, s.danger])).toEqual([
    ['look/around', 'reads'],
    ['look/keep', 'changes'],
    ['ground/dig', 'reads'],
    ['build/wall', 'changes'],
    ['end/sweep', 'changes'],
  ])
  expect(onlyPhases(book, ['fill', 'build']).steps.map(s => s.id)).toContain('guard/stand')
  expect(onlyPhases(book, ['guard']).steps.map(s => s.id)).toEqual(['look/around', 'guard/stand'])
  expect(() => onlyPhases(book, ['biuld'])).toThrow(/no phase biuld/)
})

test('a change of another phase that is needed must be there: it is said in the plan, and not made', async () => {
  const part = onlyPhases(book, ['build'])
  const words = new Set<string>()
  const plan = await makePlan({ runbook: part, readers: { words }, now })
  expect(plan.entries.map(e => [e.step, e.state])).toEqual([
    ['look/around', 'done'],
    ['look/keep', 'due'],
    ['ground/dig', 'blocked'],
    ['build/wall[?]', 'unknown'],
    ['end/sweep', 'unknown'],
  ])
  const run = await runPart(join(scratch('only'), 'journal'), part, { words }, { words })
  expect(run.failures).toMatchObject([
    {
      step: 'ground/dig',
      fault: {
        code: 'phase-not-done',
        message: expect.stringContaining('say ground/dig'),
        remedy: expect.stringContaining('--only ground,build'),
      },
    },
  ])
  expect([...words]).toEqual(['look/keep'])
})

test('where it is there, the phase is done and what ends it comes last; a resume does nothing twice', async () => {
  const part = onlyPhases(book, ['build'])
  const words = new Set(['ground/dig'])
  const plan = await makePlan({ runbook: part, readers: { words }, now })
  expect(plan.entries.map(e => e.state)).toEqual(['done', 'due', 'done', 'due', 'due', 'due'])
  const journal = join(scratch('only'), 'journal')
  const run = await runPart(journal, part, { words }, { words })
  expect(run).toMatchObject({ state: 'finished', left: 0 })
  expect([...words]).toEqual(['ground/dig', 'look/keep', 'wall a', 'wall b', 'end/sweep'])
  const intents = () => readFileSync(journal, 'utf8').match(/"kind":"intent"/g)?.length
  const before = intents()
  expect(await runPart(journal, part, { words }, { words })).toMatchObject({ state: 'finished' })
  expect(intents()).toBe(before)
})

test('it is another runbook to a resume, with the same steps', () => {
  const part = onlyPhases(book, ['build'])
  expect(part.hash).not.toBe(book.hash)
  expect(part.hash).not.toBe(onlyPhases(book, ['build', 'fill']).hash)
  expect(part.stepHashes['build/wall']).toBe(book.stepHashes['build/wall'])
})
