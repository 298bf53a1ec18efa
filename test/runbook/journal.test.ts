import { appendFileSync, chmodSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../src/runbook/fault.ts'
import { createJournal, reopenJournal } from '../../src/runbook/journal.ts'
import { claims, parseJournal, type RecordBody, readJournal } from '../../src/runbook/replay.ts'
import { scratch } from './harness.ts'

const began: RecordBody = {
  kind: 'run-began',
  run: 'r1',
  runbook: 'book',
  runbookHash: 'h',
  stepHashes: {},
  inputHash: 'i',
  input: 'recover.yaml',
  program: '0.1.0',
  by: 'tester',
  mode: 'test',
}
const note = (text: string): RecordBody => ({ kind: 'note', step: 'a/b', text })

async function journalWith(...texts: string[]): Promise<string> {
  const path = join(scratch('journal'), 'journal.ndjson')
  const journal = createJournal(path, began)
  await Promise.all(texts.map(t => journal.append(note(t))))
  await journal.close()
  return path
}

function faultOf(action: () => unknown): Fault {
  try {
    action()
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown
    throw thrown
  }
  throw new Error('nothing was thrown')
}

test('what was appended is read back, in order, private to its owner', async () => {
  const path = await journalWith('one', 'two', 'three "quoted"\nand a line')
  expect(readJournal(path).records.map(r => (r.kind === 'note' ? r.text : r.kind))).toEqual([
    'run-began',
    'one',
    'two',
    'three "quoted"\nand a line',
  ])
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('records made at the same time share a flush and keep their order', async () => {
  const path = join(scratch('journal'), 'journal.ndjson')
  const writes: number[] = []
  const journal = createJournal(path, began, {
    onPoint: (point, { seq }) => point === 'before' && writes.push(seq),
  })
  await Promise.all(Array.from({ length: 100 }, (_, i) => journal.append(note(`n${i}`))))
  await journal.close()
  expect(readJournal(path).records).toHaveLength(101)
  expect(writes).toEqual(Array.from({ length: 101 }, (_, i) => i + 1))
})

test('a torn last line is cut off, kept beside the journal, and the journal goes on', async () => {
  const path = await journalWith('one')
  const whole = readFileSync(path, 'utf8')
  appendFileSync(path, '{"seq":3,"at":"2026-01-01T00:00:00Z","kind":"no')
  const { journal, replay } = reopenJournal(path)
  expect(replay.torn?.bytes.toString()).toContain('"seq":3')
  expect(readFileSync(path, 'utf8')).toBe(whole)
  expect(readFileSync(`${path}.torn-3`, 'utf8')).toContain('"seq":3')
  await journal.append(note('after'))
  await journal.close()
  expect(readJournal(path).records).toHaveLength(3)
})

test('an edited line is an error that names it, whichever line it is', async () => {
  const path = await journalWith('one', 'two', 'three')
  const lines = readFileSync(path, 'utf8').split('\n')
  for (const edited of [1, 2, 3, 4]) {
    const text = lines.map((l, i) => (i === edited - 1 ? l.replace('"at":"2', '"at":"3') : l)).join('\n')
    expect(faultOf(() => parseJournal(Buffer.from(text), 'j'))).toMatchObject({
      code: 'journal-damaged',
      at: `j:${edited}`,
    })
  }
  const dropped = [lines[0], ...lines.slice(2)].join('\n')
  expect(faultOf(() => parseJournal(Buffer.from(dropped), 'j'))).toMatchObject({
    code: 'journal-damaged',
    at: 'j:2',
  })
})

test('a journal cut anywhere reads as a prefix of itself or names the damage, and never invents a record', async () => {
  const path = await journalWith('one', 'two')
  const bytes = readFileSync(path)
  const all = readJournal(path).records
  fc.assert(
    fc.property(fc.integer({ min: 0, max: bytes.length }), cut => {
      const { records } = parseJournal(bytes.subarray(0, cut), 'j')
      expect(records).toEqual(all.slice(0, records.length))
    }),
  )
})

test('one changed byte before the last line is always noticed', async () => {
  const path = await journalWith('one', 'two')
  const bytes = readFileSync(path)
  const lastLine = bytes.lastIndexOf(10, bytes.length - 2)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: lastLine }), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at]! + by) % 256
      expect(faultOf(() => parseJournal(changed, 'j')).code).toBe('journal-damaged')
    }),
    { numRuns: 300 },
  )
})

test('a folder that cannot be written to is said before anything happens', async () => {
  const dir = scratch('journal')
  chmodSync(dir, 0o500)
  if (process.getuid?.() === 0) {
    // Root may write anywhere; a folder that is not there shows the same fault.
    expect(faultOf(() => createJournal(join(dir, 'nowhere', 'j'), began)).code).toBe('journal-unwritable')
    return
  }
  expect(faultOf(() => createJournal(join(dir, 'j'), began)).code).toBe('journal-unwritable')
})

test('a second journal of the same name is refused', async () => {
  const path = await journalWith('one')
  expect(faultOf(() => createJournal(path, began))).toMatchObject({ code: 'journal-unwritable' })
})

test('claims: an intent takes back an older checkpoint, a later consent replaces an earlier one', async () => {
  const path = join(scratch('journal'), 'journal.ndjson')
  const journal = createJournal(path, began)
  const victim = (serial: string) => ({ kind: 'disk', name: 'a', identity: { serial }, content: [] })
  await journal.append({ kind: 'consent', victims: [victim('1')], by: 'me', how: 'typed' })
  await journal.append({
    kind: 'checkpoint',
    step: 'a/b',
    how: 'applied',
    output: 1,
    evidence: 'e',
    tookMs: 1,
  })
  await journal.append({ kind: 'consent', victims: [victim('2')], by: 'me', how: 'typed' })
  await journal.append({ kind: 'intent', step: 'a/b', attempt: 1, changes: [] })
  await journal.close()
  const claimed = claims(readJournal(path), path)
  expect(claimed.steps.get('a/b')).toEqual({ intents: 1 })
  expect(claimed.consents).toEqual([victim('2')])
})
