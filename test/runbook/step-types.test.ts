import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { done, due, kit } from '../../src/runbook/step.ts'

interface Reader {
  look(): Promise<number>
}
interface Writer extends Reader {
  change(): Promise<void>
}
const { step, fanOut } = kit<{ thing: Reader }, { thing: Writer }>()
const none = z.strictObject({})
const bounds = { expected: '1s', limit: '2s' } as const

test('the types carry the rules of a step', () => {
  const rooms = fanOut({ name: 'room', schema: z.string(), key: r => r, subjects: () => ['hall'] })
  const counted = step({
    id: 'a/count',
    title: room => `Count ${room}`,
    each: rooms,
    danger: 'reads',
    bounds,
    output: z.strictObject({ n: z.number() }),
    async observe({ room, thing, signal }) {
      expectTypeOf(room).toEqualTypeOf<string>()
      expectTypeOf(thing).toEqualTypeOf<Reader>()
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
      // @ts-expect-error an observe cannot reach what writes
      void thing.change
      return done({ n: await thing.look() }, 'counted')
    },
  })
  step({
    id: 'a/change',
    title: 'Change',
    danger: 'changes',
    bounds,
    output: none,
    needs: [counted],
    async observe({ outputs }) {
      expectTypeOf(outputs(counted)).toEqualTypeOf<Map<string, { n: number }>>()
      return due('change it')
    },
    async apply({ thing, note }) {
      note('now')
      await thing.change()
    },
  })
  // @ts-expect-error a step that destroys cannot be written without victims
  step({
    id: 'a/wipe',
    title: 'Wipe',
    danger: 'destroys',
    bounds,
    output: none,
    async observe() {
      return due('wipe it')
    },
    async apply() {},
  })
  // @ts-expect-error a step that only reads cannot have an apply
  step({
    id: 'a/read',
    title: 'Read',
    danger: 'reads',
    bounds,
    output: none,
    async observe() {
      return due('read it')
    },
    async apply() {},
  })
  step({
    id: 'a/output',
    title: 'Output',
    danger: 'reads',
    bounds,
    output: none,
    // @ts-expect-error what observe finds must fit the output's schema
    async observe() {
      return done({ x: 1 }, 'seen')
    },
  })
})
