import { describe, expect, test } from 'vitest'
import { exitCodes, exitMeanings } from '../../src/cli/exit-codes.ts'
import { documents } from './documents.ts'
import { catalogueOf } from './fault-catalogue.ts'
import { root, textOf } from './source.ts'

const { sites, unreadable } = catalogueOf(root)
const places = (code: string) =>
  sites.filter(s => s.code === code).map(s => `${s.file}:${s.line} ${s.blames}`)

test.each(Object.entries(documents(root)))('%s is what the code says', (path, made) => {
  expect(textOf(root, path), `${path} is out of date: run \`node bin/docs.mjs\``).toBe(made)
})

test('the code of every error can be read from the source', () => {
  const wrong = unreadable.map(u => `${u.file}:${u.line} writes its code as ${u.written || 'nothing'}`)
  expect(wrong, 'write the code as a string, or add it to test/house/fault-catalogue.ts').toEqual([])
  expect(sites.length).toBeGreaterThan(100)
})

test('a code that several places use has one meaning: the same people act', () => {
  const wrong = [...new Set(sites.map(s => s.code))].filter(
    code => new Set(sites.filter(s => s.code === code).flatMap(s => s.blames)).size !== 1,
  )
  expect(wrong.map(code => ({ code, places: places(code) }))).toEqual([])
})

test('every error says whom it blames, what happened and what to do', () => {
  const known = new Set(['operator', 'host', 'network', 'bug'])
  const wrong = sites.filter(
    s => s.blames.some(b => !known.has(b)) || s.messages.length === 0 || s.remedies.length === 0,
  )
  expect(wrong.map(s => `${s.code} in ${s.file}:${s.line}`)).toEqual([])
})

test('messages and remedies end without a full stop, because views put more behind them', () => {
  const wrong = sites.flatMap(s =>
    [...s.messages, ...s.remedies].filter(t => t.endsWith('.')).map(t => `${s.file}:${s.line} ${t}`),
  )
  expect(wrong).toEqual([])
})

describe('exit codes', () => {
  test('every one has a meaning, and no other', () => {
    expect(Object.keys(exitMeanings).map(Number).sort()).toEqual(Object.values(exitCodes).toSorted())
  })
})
