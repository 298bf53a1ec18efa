import { expect, test } from 'vitest'
import { unlike } from '../../src/checks/expectation.ts'

test.each([
  ['42\n', { equals: '42' }, undefined],
  ['43\n', { equals: '42' }, '"42" was expected, and it is "43"'],
  ['all is well', { contains: 'well' }, undefined],
  ['all is lost', { contains: 'well' }, 'the text "well" is not in it: "all is lost"'],
  ['a\nusers: 12\n', { matches: '^users: [1-9]' }, undefined],
  ['users: 0', { matches: '^users: [1-9]' }, 'the pattern "^users: [1-9]" does not fit it: "users: 0"'],
  ['both', { contains: 'bo', matches: 'x' }, 'the pattern "x" does not fit it: "both"'],
  ['anything', {}, undefined],
])('%j is %o: %s', (text, expectation, wrong) => {
  expect(unlike(text, expectation)).toBe(wrong)
})
