import { describe, expect, test } from 'vitest'
import { ClusterFileFault } from '../../src/cluster/problem.ts'
import { Remembered } from '../../src/cluster/remembered.ts'
import { parseYaml } from '../../src/cluster/yaml-file.ts'

const text = [
  '# what it is for',
  'kind: ConfigMap # not a Secret',
  'metadata: &meta',
  '  name: one',
  '  labels: { app: a, "tier": b }',
  '---',
  '# nothing',
  '---',
  'metadata:',
  '  name: two',
  '  # where it is',
  '  namespace: home',
  'list:',
  '  - first',
  '  - second: 2',
  '    third: [3, 4]',
  'kind: Secret',
  '...',
  '---',
  '- in a list',
].join('\n')

describe.each([
  ['as it is', text],
  ['with CRLF', text.replaceAll('\n', '\r\n')],
])('places in a file of several documents, %s', (_, written) => {
  const at = (document: number, ...path: PropertyKey[]) => parseYaml(written, 'a.yaml')[document]!.at(path)

  test('each has its value, one without anything null', () => {
    expect(parseYaml(written, 'a.yaml').map(d => d.value)).toEqual([
      { kind: 'ConfigMap', metadata: { name: 'one', labels: { app: 'a', tier: 'b' } } },
      null,
      {
        metadata: { name: 'two', namespace: 'home' },
        list: ['first', { second: 2, third: [3, 4] }],
        kind: 'Secret',
      },
      ['in a list'],
    ])
  })

  test('top keys, deep ones, items, and the nearest above what is not there', () => {
    expect([at(0), at(0, 'kind'), at(0, 'metadata', 'labels', 'tier')]).toEqual([
      'a.yaml:2:1',
      'a.yaml:2:1',
      'a.yaml:5:21',
    ])
    expect([at(2), at(2, 'kind'), at(2, 'metadata', 'name')]).toEqual([
      'a.yaml:9:1',
      'a.yaml:17:1',
      'a.yaml:10:3',
    ])
    expect([at(2, 'list', 1), at(2, 'list', 1, 'third', 1)]).toEqual(['a.yaml:15:5', 'a.yaml:16:16'])
    expect([at(2, 'nothing'), at(2, 'metadata', 'nothing'), at(2, 'list', 9)]).toEqual([
      'a.yaml:9:1',
      'a.yaml:9:1',
      'a.yaml:13:1',
    ])
    expect([at(3), at(3, 0)]).toEqual(['a.yaml:20:1', 'a.yaml:20:3'])
  })

  test('comments before a key and behind a value', () => {
    const [one, , two] = parseYaml(written, 'a.yaml')
    expect(one?.comment(['kind'])).toMatch(/^what it is for\s+not a Secret$/)
    expect(two?.comment(['metadata', 'namespace'])).toBe('where it is')
    expect(two?.comment(['kind'])).toBe('')
  })
})

test('anchors and merges are values, and their places are where they are written', () => {
  const [document] = parseYaml('a: &x { b: 1 }\nc: *x\nd: { <<: *x, e: 2 }\n', 'a.yaml')
  expect(document?.value).toEqual({ a: { b: 1 }, c: { b: 1 }, d: { b: 1, e: 2 } })
  const { a, c } = document!.value as { a: object; c: object }
  expect(a).toBe(c)
  expect(['a', 'c', 'd'].map(key => document?.at([key]))).toEqual(['a.yaml:1:1', 'a.yaml:2:1', 'a.yaml:3:1'])
  expect(document?.at(['d', 'e'])).toBe('a.yaml:3:14')
})

test('every mistake of a file is told at its place, in whichever document it is', () => {
  const wrong = 'a: 1\n---\nb:\n\t- c\n---\nd: *nothing\n---\ne: 1\ne: 2\n'
  const places = (written: string) => {
    try {
      parseYaml(written, 'a.yaml')
    } catch (thrown) {
      return (thrown as ClusterFileFault).problems.map(p => `${p.at} ${p.message}`)
    }
    return []
  }
  const told = [
    'a.yaml:4:1 Tabs are not allowed as indentation',
    'a.yaml:6:4 no anchor &nothing stands before *nothing',
    'a.yaml:9:1 Map keys must be unique',
  ]
  expect(places(wrong)).toEqual(told)
  expect(places(wrong.replaceAll('\n', '\r\n'))).toEqual(told)
  // Asked again, it is as wrong as before.
  expect(places(wrong)).toEqual(told)
  expect(() => parseYaml(wrong, 'b.yaml')).toThrow(ClusterFileFault)
})

test('who changes what was read changes nobody else’s', () => {
  const written = 'a: { b: [1, { c: "text" }] }\nbytes: !!binary AAE=\n__proto__: { d: 1 }\n'
  const first = parseYaml(written, 'a.yaml')[0]?.value as { a: { b: unknown[] }; bytes: Buffer }
  expect(Buffer.isBuffer(first.bytes)).toBe(true)
  expect(Object.keys(first)).toEqual(['a', 'bytes', '__proto__'])
  first.a.b.push('mine')
  expect(parseYaml(written, 'b.yaml')[0]?.value).toMatchObject({ a: { b: [1, { c: 'text' }] } })
  expect(parseYaml(written, 'b.yaml')[0]?.at(['a', 'b', 1, 'c'])).toBe('b.yaml:1:15')
})

test('what was made of a text is remembered until others need the place, and the newest always', () => {
  const made: string[] = []
  const remembered = new Remembered<number>(6)
  const ask = (key: string) => remembered.of(key, () => made.push(key))
  for (const key of ['one', 'two', 'one', 'four', 'one', 'longer-than-all', 'longer-than-all']) ask(key)
  expect(made).toEqual(['one', 'two', 'four', 'one', 'longer-than-all'])
})
