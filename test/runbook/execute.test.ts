import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { nobody } from '../../src/runbook/consent.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { makePlan } from '../../src/runbook/make-plan.ts'
import { readJournal } from '../../src/runbook/replay.ts'
import { phase, runbook } from '../../src/runbook/runbook.ts'
import { done, due, kit } from '../../src/runbook/step.ts'
import { runPart, scratch } from './harness.ts'
import { furnish, pottery, WorkshopReader, WorkshopWriter, worldOf } from './workshop.ts'

function workshop() {
  const dir = scratch('workshop')
  furnish(dir, ['north', 'south'])
  const journal = join(scratch('journal'), 'journal.ndjson')
  const run = (options: Parameters<typeof runPart>[4] = {}) =>
    runPart(
      journal,
      pottery,
      { workshop: new WorkshopReader(dir) },
      { workshop: new WorkshopWriter(dir) },
      options as never,
    )
  return { dir, journal, run }
}

describe('a run', () => {
  test('observes, acts, observes again, and leaves a journal that says so', async () => {
    const { dir, journal, run } = workshop()
    const result = await run()
    expect(result).toMatchObject({ state: 'finished', left: 0, failures: [] })
    expect(worldOf(dir)).toMatchObject({ sign: 'open, 2 pots', 'north-pot': 'pot for north S-north, fired' })
    expect(worldOf(dir)).not.toHaveProperty('north-junk')
    const { records } = readJournal(journal)
    const clear = records.filter(r => 'step' in r && r.step === 'shelves/clear[north]').map(r => r.kind)
    expect(clear).toEqual(['intent', 'checkpoint'])
    expect(records.find(r => r.kind === 'fan-out')).toMatchObject({
      name: 'shelf',
      subjects: [{ key: 'north' }, { key: 'south' }],
    })
    expect(records.at(-1)).toMatchObject({ kind: 'ended', state: 'finished' })
  })

  test('a second process confirms and changes nothing', async () => {
    const { dir, run } = workshop()
    await run()
    const touched = readFileSync(join(dir, 'touched.log'), 'utf8')
    const again = await run()
    expect(again.state).toBe('finished')
    expect(readFileSync(join(dir, 'touched.log'), 'utf8')).toBe(touched)
    const how = again.events.flatMap(e => (e.code === 'step-done' ? [`${e.step} ${e.how}`] : []))
    // The shop is open on purpose: its being shut is taken from the journal, not done again.
    expect(how).toContain('prepare/shut-the-shop kept')
    expect(how).toContain('shelves/clear[north] confirmed')
  })

  test('without consent nothing is destroyed, and the fault says how to give it', async () => {
    const { dir, run } = workshop()
    const before = worldOf(dir)
    const result = await run({ consent: nobody })
    expect(result.state).toBe('failed')
    expect(result.failures.map(f => f.fault.code)).toEqual(['consent-missing', 'consent-missing'])
    expect(worldOf(dir)).toEqual({ ...before, sign: 'shut' })
    expect((await run()).state).toBe('finished')
  })

  test('another identity than the agreed one is refused, other content too', async () => {
    const { dir, run } = workshop()
    const shelf = (name: string) => ({
      kind: 'shelf',
      name,
      identity: { serial: `S-${name}` },
      content: [`${name}-junk`, `${name}-old`],
    })
    writeFileSync(join(dir, 'north.serial'), 'S-other')
    writeFileSync(join(dir, 'south-photos'), 'photos')
    const before = worldOf(dir)
    const result = await run({ agreedBefore: [shelf('north'), shelf('south')] })
    expect(result.failures.map(f => [f.step, f.fault.code])).toEqual([
      ['shelves/clear[north]', 'victim-differs'],
      ['shelves/clear[south]', 'victim-content-changed'],
    ])
    expect(worldOf(dir)).toEqual({ ...before, sign: 'shut' })
    expect(result.failures[0]?.fault.message).toContain('serial was S-north and is S-other')
  })

  test('a step that was done and is not any more: changes are redone with a word, destroying stops', async () => {
    const { dir, run } = workshop()
    await run()
    rmSync(join(dir, 'north-pot'))
    const again = await run()
    expect(again.state).toBe('finished')
    expect(again.events).toContainEqual(
      expect.objectContaining({ code: 'step-moved', step: 'shelves/make-pot[north]' }),
    )

    writeFileSync(join(dir, 'south.owner'), 'somebody else')
    writeFileSync(join(dir, 'south-photos'), 'photos')
    const third = await run()
    expect(third.failures.map(f => f.fault.code)).toEqual(['world-moved'])
    expect(worldOf(dir)['south-photos']).toBe('photos')

    const redone = await run({ redo: new Set(['shelves/clear[south]']) })
    expect(redone.state).toBe('finished')
    expect(worldOf(dir)).not.toHaveProperty('south-photos')
  })

  test('stop after the current action ends the run resumable; resuming finishes it', async () => {
    const { dir, run } = workshop()
    const stop = new AbortController()
    const part = await run({
      stop: stop.signal,
      onPoint: (point, step) => step.startsWith('shelves/clear') && point === 'before-effect' && stop.abort(),
    })
    expect(part.state).toBe('stopped')
    expect(part.left).toBeGreaterThan(0)
    expect((await run()).state).toBe('finished')
    expect(worldOf(dir).sign).toBe('open, 2 pots')
  })
})

describe('lies', () => {
  const { step } = kit<object, object>()
  const common = {
    title: 'Lie',
    danger: 'changes',
    bounds: { expected: '1ms', limit: '30s' },
    output: z.strictObject({}),
  } as const
  const alone = async (definition: Parameters<typeof step>[0]) => {
    const book = runbook('lies', 'Lies', [phase('a', 'A', [step(definition)])])
    return runPart(join(scratch('journal'), 'journal.ndjson'), book, {}, {})
  }

  test('an apply that reports success and did nothing', async () => {
    const result = await alone({
      ...common,
      id: 'a/lie',
      observe: async () => due('do it'),
      apply: async () => {},
    })
    expect(result.failures[0]?.fault).toMatchObject({ code: 'apply-without-effect' })
  })

  test('an observe that throws is a coded fault, not a crash', async () => {
    const result = await alone({
      ...common,
      id: 'a/throw',
      observe: async () => {
        throw new TypeError('undefined is not a function')
      },
      apply: async () => {},
    })
    expect(result.failures[0]?.fault).toMatchObject({ code: 'bug', blame: 'bug' })
  })

  test('an apply that never ends meets its limit', async () => {
    const result = await alone({
      ...common,
      bounds: { expected: '1ms', limit: '200ms' },
      id: 'a/hang',
      observe: async () => due('hang'),
      apply: () => new Promise(() => {}),
    })
    expect(result.failures[0]?.fault).toMatchObject({ code: 'step-timed-out' })
  })

  test('what is waited for in vain is given up sooner than what is at work, where limits are scaled', async () => {
    const isOver = new Set<string>()
    const book = runbook('slow', 'Slow', [
      phase('a', 'A', [
        step({
          ...common,
          id: 'a/wait',
          observe: async () => due('wait'),
          apply: ({ wait }) => wait('what never comes', async () => undefined, { every: '1ms' }),
        }),
        step({
          ...common,
          id: 'a/work',
          observe: async () => (isOver.has('work') ? done({}, 'worked') : due('work')),
          async apply() {
            await new Promise(resolve => setTimeout(resolve, 40))
            isOver.add('work')
          },
        }),
      ]),
    ])
    const result = await runPart(
      join(scratch('journal'), 'journal.ndjson'),
      book,
      {},
      {},
      {
        scaleLimit: (ms, of) => (of === 'wait' ? 10 : ms),
      },
    )
    expect(result.failures).toMatchObject([{ step: 'a/wait', fault: { code: 'wait-timed-out' } }])
    expect([...isOver]).toEqual(['work'])
  })

  test('an output that is not what the step promises', async () => {
    const result = await alone({
      ...common,
      id: 'a/output',
      observe: async () => done({ extra: 1 } as never, 'seen'),
      apply: async () => {},
    })
    expect(result.failures[0]?.fault).toMatchObject({ code: 'output-invalid' })
  })

  test('what comes after a failed one of its kind is told why it was not begun; the others are done', async () => {
    const { step, fanOut } = kit<object, object>()
    const boat = fanOut({
      name: 'boat',
      schema: z.string(),
      key: name => name,
      subjects: () => ['one', 'two', 'three', 'four'],
    })
    const after: Record<string, string[]> = { two: ['one'], three: ['two'] }
    const launch = step({
      id: 'sea/launch',
      title: name => `Launch ${name}`,
      each: boat,
      after: name => after[name] ?? [],
      danger: 'reads',
      bounds: { expected: '1ms', limit: '30s' },
      output: z.strictObject({}),
      observe: async ({ boat: name }) =>
        name === 'one'
          ? due('mend its leak')
          : done({}, 'it floats', { table: { columns: ['BOAT'], rows: [[name]] } }),
    })
    const journal = join(scratch('journal'), 'journal.ndjson')
    const book = runbook('sea', 'Sea', [phase('sea', 'Sea', [launch])])
    const result = await runPart(journal, book, {}, {}, {})
    expect(result).toMatchObject({ state: 'failed', left: 3, failures: [{ step: 'sea/launch[one]' }] })
    expect(result.events.filter(e => e.code === 'step-left')).toMatchObject([
      { step: 'sea/launch[two]', because: 'it comes after "Launch one", which failed' },
      { step: 'sea/launch[three]', because: 'it comes after "Launch one", which failed' },
    ])
    expect(result.events.filter(e => e.code === 'step-table')).toMatchObject([
      { step: 'sea/launch[four]', table: { rows: [['four']] } },
    ])
    const plan = await makePlan({ runbook: book, readers: {}, now: new AbortController().signal })
    expect(plan.entries.find(e => e.step === 'sea/launch[four]')).toMatchObject({
      state: 'done',
      table: { columns: ['BOAT'], rows: [['four']] },
    })
  })

  test('a warning stands in the plan, in the event, in the journal, and is told again after a resume', async () => {
    const { step } = kit<object, object>()
    let leak = 'a small leak'
    const launch = step({
      id: 'sea/launch',
      title: 'Launch',
      danger: 'reads',
      bounds: { expected: '1ms', limit: '30s' },
      output: z.strictObject({}),
      observe: async () =>
        done({}, 'it floats', {
          warnings:
            leak === '' ? [] : [{ code: 'leak', blame: 'operator', message: leak, remedy: 'Mend it' }],
        }),
    })
    const book = runbook('sea', 'Sea', [phase('sea', 'Sea', [launch])])
    const warnings = [{ code: 'leak', blame: 'operator', message: 'a small leak', remedy: 'Mend it' }]
    const plan = await makePlan({ runbook: book, readers: {}, now: new AbortController().signal })
    expect(plan.entries).toMatchObject([{ state: 'done', warnings }])
    const journal = join(scratch('journal'), 'journal.ndjson')
    const told = async () => {
      const { events } = await runPart(journal, book, {}, {}, {})
      return events.flatMap(e => (e.code === 'step-done' ? [e.warnings] : []))
    }
    const kept = () =>
      readJournal(journal).records.flatMap(r => (r.kind === 'checkpoint' ? [r.warnings] : []))
    expect(await told()).toEqual([warnings])
    expect(await told()).toEqual([warnings])
    expect(kept()).toEqual([warnings])
    // The output is the same, and the warning is gone: the journal says so.
    leak = ''
    expect(await told()).toEqual([undefined])
    expect(kept()).toEqual([warnings, undefined])
  })

  test('a step that needs some subjects of another fan-out alone is held up by those alone', async () => {
    const { step, fanOut, fanOutFrom } = kit<object, object>()
    const bounds = { expected: '1ms', limit: '30s' } as const
    const nothing = z.strictObject({})
    const look = step({
      id: 'sea/look',
      title: 'Look for planks',
      danger: 'reads',
      bounds,
      output: z.array(z.string()),
      observe: async () => done(['oak', 'ash', 'rotten'], 'three planks'),
    })
    const plank = fanOutFrom(look, {
      name: 'plank',
      schema: z.string(),
      key: name => name,
      subjects: found => found,
    })
    const plane = step({
      id: 'sea/plane',
      title: name => `Plane ${name}`,
      each: plank,
      only: name => name !== 'ash',
      danger: 'reads',
      bounds,
      output: z.string(),
      observe: async ({ plank: name }) =>
        name === 'rotten' ? due('find another one') : done(`smooth ${name}`, 'it is smooth'),
    })
    const boat = fanOut({
      name: 'boat',
      schema: z.string(),
      key: name => name,
      subjects: () => ['good', 'bad', 'raft', 'model'],
    })
    const of: Record<string, string[]> = {
      good: ['oak', 'ash'],
      bad: ['oak', 'rotten'],
      raft: [],
      model: ['none'],
    }
    const built: unknown[] = []
    const build = step({
      id: 'sea/build',
      title: name => `Build ${name}`,
      each: boat,
      needs: [plane],
      needsOf: name => of[name] ?? [],
      danger: 'reads',
      bounds,
      output: nothing,
      async observe({ boat: name, outputOf }) {
        built.push([name, of[name]?.map(key => outputOf(plane, key))])
        return done({}, 'it floats')
      },
    })
    const journal = join(scratch('journal'), 'journal.ndjson')
    const book = runbook('sea', 'Sea', [phase('sea', 'Sea', [look, plane, build])])
    const result = await runPart(journal, book, {}, {}, {})
    expect(result).toMatchObject({ state: 'failed', left: 2, failures: [{ step: 'sea/plane[rotten]' }] })
    expect(built.sort()).toEqual([
      ['good', ['smooth oak', undefined]],
      ['model', [undefined]],
      ['raft', []],
    ])
  })

  test('a fault that passes by itself is retried only where the step says so', async () => {
    let tries = 0
    const flaky = async () => {
      tries += 1
      if (tries < 3)
        throw new Fault({ code: 'busy', blame: 'network', message: 'busy', remedy: 'wait', transient: true })
      return done({}, 'there')
    }
    const once = await alone({ ...common, id: 'a/once', observe: flaky, apply: async () => {} })
    expect(once.failures[0]?.fault.code).toBe('busy')
    tries = 0
    const thrice = await alone({
      ...common,
      id: 'a/thrice',
      retry: { times: 3, delay: '1s' },
      observe: flaky,
      apply: async () => {},
    })
    expect(thrice.state).toBe('finished')
  })
})

describe('a plan', () => {
  test('changes nothing and names victims, and what is not known yet', async () => {
    const dir = scratch('workshop')
    furnish(dir, ['north', 'south'])
    const before = worldOf(dir)
    const plan = await makePlan({
      runbook: pottery,
      readers: { workshop: new WorkshopReader(dir) },
      now: new AbortController().signal,
    })
    expect(worldOf(dir)).toEqual(before)
    expect(plan.victims.map(v => v.name)).toEqual(['north', 'south'])
    expect(Object.fromEntries(plan.entries.map(e => [e.step, e.state]))).toEqual({
      'prepare/look-around': 'done',
      'prepare/shut-the-shop': 'due',
      'shelves/clear[north]': 'due',
      'shelves/clear[south]': 'due',
      'shelves/make-pot[north]': 'unknown',
      'shelves/make-pot[south]': 'unknown',
      'finish/open-the-shop': 'unknown',
      'finish/await-customer': 'unknown',
    })
    const again = await makePlan({
      runbook: pottery,
      readers: { workshop: new WorkshopReader(dir) },
      now: new AbortController().signal,
    })
    expect(again.hash).toBe(plan.hash)
    writeFileSync(join(dir, 'north-photos'), 'photos')
    const moved = await makePlan({
      runbook: pottery,
      readers: { workshop: new WorkshopReader(dir) },
      now: new AbortController().signal,
    })
    expect(moved.hash).not.toBe(plan.hash)
  })
})
