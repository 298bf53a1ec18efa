import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keepLab } from '../../src/lab/keeper.ts'
import { chain } from '../../src/runbook/journal.ts'
import type { JournalRecord } from '../../src/runbook/replay.ts'
import {
  applied,
  failuresOf,
  type Home,
  homeOf,
  journalPath,
  recordsNow,
  rehearseAt,
  resumeAt,
  writesOn,
  yes,
} from './home.ts'

const ends: (() => unknown)[] = []
/** A run that was stopped before any machine was touched; every test goes on with a copy of it. */
let begun: Home

beforeAll(async () => {
  begun = homeOf({ onTestFinished: end => ends.push(end) })
  const stop = new AbortController()
  const { result } = await rehearseAt(begun, {
    stop: stop.signal,
    sink: event => {
      if (event.code === 'step-done' && event.step.startsWith('protect/snapshot')) stop.abort()
    },
  })
  expect(result?.state).toBe('stopped')
})

afterAll(async () => {
  for (const end of ends) await end()
})

type Lines = string[]

describe('an edited journal', () => {
  test.for<{ what: string; edit: (lines: Lines) => Lines; line: number }>([
    { what: 'a changed letter', edit: l => l.with(3, l[3]!.replace('"kind":"', '"kind":"x')), line: 4 },
    { what: 'a changed digit of a hash', edit: l => l.with(4, flipped(l[4]!)), line: 5 },
    { what: 'a line removed', edit: l => l.toSpliced(5, 1), line: 6 },
    { what: 'the first line removed', edit: l => l.toSpliced(0, 1), line: 1 },
    { what: 'two lines swapped', edit: l => l.with(4, l[5]!).with(5, l[4]!), line: 5 },
    { what: 'a line repeated', edit: l => l.toSpliced(4, 0, l[3]!), line: 5 },
    { what: 'a line made up', edit: l => l.toSpliced(4, 0, l[3]!.replace('checkpoint', 'intent')), line: 5 },
    {
      what: 'the last line changed',
      edit: l => l.with(-1, l.at(-1)!.replace('"seq":', '"seq": ')),
      line: -1,
    },
  ])('$what: journal-damaged names the line, nothing is lost and nothing is done', async (one, context) => {
    const home = homeOf(context, begun)
    const path = journalPath()
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    const edited = one.edit(lines)
    expect(edited).not.toEqual(lines)
    writeFileSync(path, `${edited.join('\n')}\n`)
    const before = everythingIn(dirname(path))
    const { refused, events } = await resumeAt(home)
    expect(refused).toMatchObject({ code: 'journal-damaged', remedy: expect.stringMatching(/Keep a copy/) })
    expect(refused?.message).toContain(`${path}:${one.line === -1 ? edited.length : one.line}:`)
    expect(events).toEqual([])
    expect(everythingIn(dirname(path))).toEqual(before)
    expect(await keepLab(join(dirname(path), 'lab'), { start: false })).toBeUndefined()
    expect(readdirSync(join(home.state, 'recover', 'locks'))).toEqual([])
  })

  test('a torn last line is cut off with a notice, kept, and the run goes on', async context => {
    const home = homeOf(context, begun)
    const path = journalPath()
    const torn = '{"seq":99,"at":"2026-11-24T02:15:00.000Z","kind":"check'
    appendFileSync(path, torn)
    const { result, events } = await resumeAt(home, stopAt('protect/fence'))
    expect(result?.state).toBe('stopped')
    expect(events).toContainEqual(
      expect.objectContaining({ about: 'torn-tail', text: expect.stringContaining(`${torn.length} bytes`) }),
    )
    const kept = readdirSync(dirname(path)).find(name => name.includes('.torn-'))
    expect(kept && readFileSync(join(dirname(path), kept), 'utf8')).toBe(torn)
    expect(recordsNow().some(r => r.kind === 'torn-tail')).toBe(true)
    expect(recordsNow().at(-1)).toMatchObject({ kind: 'ended', state: 'stopped' })
  })

  test('whole lines that a crash took with it are looked for in the world again', async context => {
    const home = homeOf(context, begun)
    const path = journalPath()
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    const first = recordsNow().findIndex(r => r.kind === 'intent')
    writeFileSync(path, `${lines.slice(0, first).join('\n')}\n`)
    const run = await resumeAt(home, stopAt('protect/fence'))
    expect(run.result?.state).toBe('stopped')
    expect(applied(run).filter(step => step.startsWith('protect/snapshot'))).toEqual([])
  })
})

describe('files that changed since the run began', () => {
  test.for([
    { what: 'recover.yaml', file: 'recover.yaml' },
    { what: 'a file that it names', file: 'k0sctl.yaml' },
  ])('$what: cluster-file-changed; with --accept it goes on', async ({ file }, context) => {
    const home = homeOf(context, begun)
    const path = join(dirname(begun.file), file)
    const before = readFileSync(path)
    context.onTestFinished(() => writeFileSync(path, before))
    writeFileSync(path, `${before}# another word\n`)
    const records = recordsNow().length
    const { refused } = await resumeAt(home)
    expect(refused).toMatchObject({
      code: 'cluster-file-changed',
      remedy: expect.stringContaining('--accept cluster-file'),
    })
    expect(recordsNow()).toHaveLength(records)
    const { result } = await resumeAt(home, { accept: ['cluster-file'], ...stopAt('protect/fence') })
    expect(result?.state).toBe('stopped')
    expect(recordsNow()[records]).toMatchObject({ kind: 'resumed', accepted: ['cluster-file'] })
  })

  test('accepted or not, a disk that only the new file names needs a consent of its own', async context => {
    const home = homeOf(context, begun)
    const before = readFileSync(begun.file, 'utf8')
    context.onTestFinished(() => writeFileSync(begun.file, before))
    writeFileSync(begun.file, before.replace('S4EVNX0M654321', 'ANOTHER-0001'))
    const asked: string[] = []
    const run = await resumeAt(home, {
      accept: ['cluster-file'],
      // Another disk in the place of the old one, as after a repair.
      atFirst: lab => lab.order('swap-disk', { name: 'hydrogen', serial: 'ANOTHER-0001' }),
      async consent({ victims }) {
        asked.push(...victims.map(v => v.name))
        return undefined
      },
    })
    expect(asked).toEqual(['hydrogen ANOTHER-0001'])
    expect(failuresOf(run)).toEqual({ 'hosts/install-flatcar[hydrogen]': 'consent-missing' })
    expect(writesOn(home, 'hydrogen')).toEqual([0, 0])
  })

  test('another runbook: runbook-changed names the steps; with --accept it goes on', async context => {
    const home = homeOf(context, begun)
    reseal(journalPath(), record => {
      if (record.kind !== 'run-began') return
      record.runbookHash = 'of an earlier version'
      record.stepHashes = { ...record.stepHashes, 'protect/fence': 'other', 'hosts/arm-pxe': 'gone' }
      delete record.stepHashes['proof/tidy-up']
    })
    const { refused } = await resumeAt(home)
    expect(refused).toMatchObject({
      code: 'runbook-changed',
      message: expect.stringMatching(/changed: protect\/fence; new: proof\/tidy-up; gone: hosts\/arm-pxe/),
      remedy: expect.stringContaining('--accept runbook'),
    })
    const { result } = await resumeAt(home, { accept: ['runbook'], ...stopAt('protect/fence') })
    expect(result?.state).toBe('stopped')
    expect(recordsNow().at(-1)).toMatchObject({ kind: 'ended', state: 'stopped' })
  })
})

/** Stops once a step is done. */
function stopAt(step: string) {
  const stop = new AbortController()
  return {
    stop: stop.signal,
    consent: async () => yes,
    sink: (event: { code: string; step?: string }) => {
      if (event.code === 'step-done' && event.step?.startsWith(step)) stop.abort()
    },
  }
}

function flipped(line: string): string {
  return line.replace(/"hash":"(.)/, (_, digit: string) => `"hash":"${digit === '0' ? '1' : '0'}`)
}

/** Changes records and makes the chain fit again, as nobody does by accident. */
function reseal(path: string, change: (record: JournalRecord) => void): void {
  let hash = ''
  const lines = recordsNow().map(record => {
    change(record)
    const { hash: _, ...rest } = record
    const text = JSON.stringify(rest)
    hash = chain(hash, text)
    return `${text.slice(0, -1)},"hash":"${hash}"}\n`
  })
  writeFileSync(path, lines.join(''))
}

/** Every file of a run's folder but the lab's, with its bytes. */
function everythingIn(folder: string): Record<string, string> {
  expect(existsSync(folder)).toBe(true)
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .filter(path => !path.startsWith(join(folder, 'lab')))
      .map(path => [path, readFileSync(path, 'base64')]),
  )
}
