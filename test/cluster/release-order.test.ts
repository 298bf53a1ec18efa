import fc from 'fast-check'
import { expect, test } from 'vitest'
import { circleIn, type Ordered, releaseOrder } from '../../src/cluster/release-order.ts'

const app = (name: string, wave = 0, brings: string[] = []): Ordered => ({ name, wave, brings })
const order = (apps: Ordered[], after: Record<string, string[]> = {}) =>
  Object.fromEntries(
    [...releaseOrder(apps, new Map(Object.entries(after)))].map(([name, others]) => [name, others.sort()]),
  )

test('lower waves first, among those that nothing brings', () => {
  expect(order([app('db', -1), app('web'), app('mail')])).toEqual({ db: [], web: ['db'], mail: ['db'] })
})

test('an app of apps comes after everything below it, and waves count where two lines part', () => {
  const apps = [
    app('root', 0, ['system', 'apps']),
    app('system', -5, ['postgres']),
    app('apps', 1, ['wiki', 'cache']),
    app('postgres', 9),
    app('wiki', 2),
    app('cache', -9),
  ]
  expect(order(apps)).toEqual({
    postgres: [],
    system: ['postgres'],
    cache: ['postgres', 'system'],
    wiki: ['cache', 'postgres', 'system'],
    apps: ['cache', 'postgres', 'system', 'wiki'],
    root: ['apps', 'cache', 'postgres', 'system', 'wiki'],
  })
})

test('a person’s order comes before the waves that contradict it', () => {
  expect(order([app('a', 0), app('b', 1), app('c', 2)], { a: ['c'] })).toEqual({ a: ['c'], b: ['a'], c: [] })
})

test('two that bring each other do not hang', () => {
  expect(Object.keys(order([app('a', 0, ['b']), app('b', 0, ['a'])]))).toEqual(['a', 'b'])
})

test('a circle is named', () => {
  expect(
    circleIn(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']],
      ]),
    ),
  ).toEqual(['b', 'c', 'b'])
  expect(
    circleIn(
      new Map([
        ['a', ['b', 'c']],
        ['b', ['c']],
      ]),
    ),
  ).toBeUndefined()
})

test('whatever the waves, parents and a person’s order without circles: everything can be released', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const apps = fc.tuple(
    ...names.map((name, i) =>
      fc.record({
        name: fc.constant(name),
        wave: fc.integer({ min: -2, max: 2 }),
        brings: fc.subarray(names.slice(i + 1)),
      }),
    ),
  )
  const after = fc
    .tuple(fc.shuffledSubarray(names, { minLength: 6 }), fc.array(fc.tuple(fc.nat(5), fc.nat(5))))
    .map(([line, pairs]) => {
      const said = new Map<string, string[]>()
      for (const [i, j] of pairs) if (i < j) said.set(line[j]!, [...(said.get(line[j]!) ?? []), line[i]!])
      return said
    })
  fc.assert(
    fc.property(apps, after, (all, said) => {
      expect(circleIn(releaseOrder(all, said))).toBeUndefined()
    }),
  )
})
