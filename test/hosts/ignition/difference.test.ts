import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { firstDifference } from '../../../src/hosts/ignition/difference.ts'

const packed = (text: string, level: number) => ({
  compression: 'gzip',
  source: `data:;base64,${gzipSync(text, { level }).toString('base64')}`,
})
const files = (...contents: object[]) => ({
  ignition: { version: '3.4.0' },
  storage: { files: contents.map((c, i) => ({ path: `/${i}`, mode: 420, contents: c })) },
})

describe('two configs', () => {
  test('are the same whatever the order of their keys and however their contents are packed', () => {
    const text = 'a long line, many times over\n'.repeat(40)
    const [one, other] = [packed(text, 1), packed(text, 9)]
    expect(one.source).not.toBe(other.source)
    expect(firstDifference(files(one), files(other))).toBeUndefined()
    expect(
      firstDifference(files(one), files({ source: `data:,${encodeURIComponent(text)}` })),
    ).toBeUndefined()
    expect(firstDifference({ a: 1, b: [null, 'x'] }, { b: [null, 'x'], a: 1 })).toBeUndefined()
  })

  test.each([
    ['a value', { a: { b: [1, 2] } }, { a: { b: [1, 3] } }, '$.a.b.1'],
    ['a key that one lacks', { a: {} }, { a: { enabled: false } }, '$.a.enabled'],
    ['a longer list', { a: [1] }, { a: [1, 2] }, '$.a.1'],
    ['a list for an object', { a: [] }, { a: {} }, '$.a'],
    ['nothing for an object', { a: null }, { a: {} }, '$.a'],
    [
      'what is in packed contents',
      files({ source: 'data:,x', compression: '' }, packed('one', 9)),
      files({ source: 'data:,x', compression: '' }, packed('two', 9)),
      '$.storage.files.1.contents.source',
    ],
    [
      'packed contents that are broken',
      files({ compression: 'gzip', source: 'data:;base64,AAAA' }),
      files(packed('one', 9)),
      '$.storage.files.0.contents.compression',
    ],
    // Not compressed: JSON values are compared, and these are two.
    [
      'another way of writing a URL',
      files({ source: 'data:,a' }),
      files({ source: 'data:;base64,YQ==' }),
      '$.storage.files.0.contents.source',
    ],
  ])('that differ in %s are told apart where they do', (_, one, other, place) => {
    expect(firstDifference(one, other)).toBe(place)
    expect(firstDifference(other, one)).toBe(place)
  })
})
