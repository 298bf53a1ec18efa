import { expect, test } from 'vitest'
import { lineOf } from '../../src/views/prompt.ts'

function typed(keys: string): { line: string | undefined; echoed: string; left: number } {
  const bytes = [...Buffer.from(keys)]
  let echoed = ''
  const line = lineOf(
    () => bytes.shift(),
    text => {
      echoed += text
    },
  )
  return { line, echoed, left: bytes.length }
}

test('a name is typed, corrected and ended by Enter; what comes after it is left', () => {
  expect(typed('lithium S4EVN\rmore')).toMatchObject({ line: 'lithium S4EVN', left: 4 })
  expect(typed('lithiux\x7fm\n').line).toBe('lithium')
  expect(typed('wrong\x15right\r').line).toBe('right')
  expect(typed('ké\x7fe\r').line).toBe('ke')
  expect(typed('\x7f\x7fa\r').line).toBe('a')
  expect(typed(' padded \r').line).toBe('padded')
})

test('Ctrl-C, Ctrl-D and the end of the input are no answer', () => {
  expect(typed('lithium\x03\r').line).toBeUndefined()
  expect(typed('lithium\x04\r').line).toBeUndefined()
  expect(typed('lithium').line).toBeUndefined()
})
