import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadCluster } from '../../src/cluster/load.ts'
import type { Blame } from '../../src/runbook/fault.ts'
import { createJournal } from '../../src/runbook/journal.ts'
import { takeLock } from '../../src/runbook/lock.ts'
import { createRunFolder } from '../../src/runbook/run-folder.ts'
import { exitsOf } from '../house/fault-catalogue.ts'
import { nothingIsLeftRunning } from './left-running.ts'
import { type Ended, recover, root, scratch, typed } from './program.ts'
import type { Line } from './typist.ts'

const time = { timeout: 10 * 60_000 }
const ends: (() => void)[] = []
const example = join(root, 'examples/home')

/** A command that cannot do what was asked. */
interface Refusal {
  what: string
  code: string
  blame: Blame
  exit: number
  /** Makes what is in the way, and says what is typed. */
  typed(state: string): string[] | Promise<string[]>
  /** What has to be typed before. */
  before?(state: string): string[]
  /** A part of the message: what is wrong, and where. */
  says: RegExp
  /** A part of the remedy. */
  advises?: RegExp
}

const refusals: Refusal[] = [
  {
    what: 'an unknown flag',
    code: 'usage',
    blame: 'operator',
    exit: 2,
    typed: () => ['rehearse', '--plian'],
    says: /--plian/,
    advises: /--plain/,
  },
  {
    what: 'a flag that is missing',
    code: 'usage',
    blame: 'operator',
    exit: 2,
    typed: () => ['cluster', example],
    says: /Missing required flag --from-scratch/,
  },
  {
    what: 'an unknown command',
    code: 'command-unknown',
    blame: 'operator',
    exit: 2,
    typed: () => ['statsu'],
    says: /no command statsu/,
    advises: /recover status/,
  },
  {
    what: 'an unknown command of a topic',
    code: 'command-unknown',
    blame: 'operator',
    exit: 2,
    typed: () => ['lab', 'dwon'],
    says: /no command lab dwon/,
    advises: /recover lab down/,
  },
  {
    what: 'help for an unknown command',
    code: 'command-unknown',
    blame: 'operator',
    exit: 2,
    typed: () => ['help', 'nonsense'],
    says: /no command nonsense/,
  },
  {
    what: 'a time that is none',
    code: 'duration-invalid',
    blame: 'operator',
    exit: 2,
    typed: () => ['rehearse', example, '--lock-timeout', 'soon'],
    says: /--lock-timeout.*soon/,
  },
  {
    what: 'a missing cluster file',
    code: 'cluster-file-missing',
    blame: 'operator',
    exit: 2,
    typed: state => ['rehearse', join(state, 'nowhere')],
    says: /nowhere/,
  },
  {
    what: 'an invalid cluster file',
    code: 'cluster-file-invalid',
    blame: 'operator',
    exit: 2,
    typed: state => ['rehearse', homeWith(state, text => text.replace(/^hosts:/m, 'hostz:'))],
    says: /recover\.yaml:\d+:\d+ hostz/,
  },
  {
    what: 'a cluster file with open questions',
    code: 'questions-open',
    blame: 'operator',
    exit: 2,
    before: state => ['init', example, '--output', join(state, 'recover.yaml')],
    typed: state => ['rehearse', join(state, 'recover.yaml')],
    says: /open question/,
  },
  {
    what: 'a repository that is not there',
    code: 'init-no-repository',
    blame: 'operator',
    exit: 2,
    typed: state => ['init', join(state, 'nowhere')],
    says: /nowhere/,
  },
  {
    what: 'an unknown fault',
    code: 'fault-unknown',
    blame: 'operator',
    exit: 2,
    typed: () => ['rehearse', example, '--fault', 'nonsense:lithium'],
    says: /nonsense/,
  },
  {
    what: 'events that cannot be written',
    code: 'events-unwritable',
    blame: 'operator',
    exit: 2,
    typed: state => ['rehearse', example, '--json-into', join(state, 'nowhere', 'events')],
    says: /nowhere\/events/,
  },
  {
    what: 'an unknown run',
    code: 'run-unknown',
    blame: 'operator',
    exit: 2,
    typed: () => ['resume', '20261123-021500-ab12'],
    says: /20261123-021500-ab12/,
  },
  {
    what: 'a damaged journal',
    code: 'journal-damaged',
    blame: 'operator',
    exit: 2,
    typed: async state => {
      const { run, journal } = await begun(state, example)
      writeFileSync(journal, readFileSync(journal, 'utf8').replace('"from-scratch"', '"from-scrotch"'))
      return ['resume', run]
    },
    says: /journal\.ndjson:1/,
  },
  {
    what: 'a cluster file that changed since the run began',
    code: 'cluster-file-changed',
    blame: 'operator',
    exit: 3,
    typed: async state => {
      const { run } = await begun(state, example, { inputHash: 'another' })
      return ['resume', run]
    },
    says: /recover\.yaml/,
  },
  {
    what: 'a runbook that changed since the run began',
    code: 'runbook-changed',
    blame: 'operator',
    exit: 3,
    typed: async state => {
      const { run } = await begun(state, example, { runbookHash: 'another' })
      return ['resume', run]
    },
    says: /another runbook/,
  },
  {
    what: 'nobody who agrees to what would be destroyed',
    code: 'consent-missing',
    blame: 'operator',
    exit: 3,
    typed: () => ['rehearse', example, '--ask'],
    says: /nothing was changed/,
  },
  {
    what: 'a lock that somebody holds',
    code: 'locked',
    blame: 'operator',
    exit: 6,
    typed: async state => {
      const lock = await takeLock(join(state, 'recover/locks/home.rehearsal'), {
        run: '20261123-021500-ab12',
        doing: 'a test',
        timeoutMs: 0,
        stop: new AbortController().signal,
        notice: () => {},
      })
      ends.push(() => lock.release())
      return ['rehearse', example]
    },
    says: /20261123-021500-ab12/,
  },
]

test.concurrent('a rehearsal that fails ends with 3 and names step, code and remedy', time, async test => {
  const state = scratch(test)
  const { exit, stdout, stderr } = await recover(
    ['rehearse', 'examples/home', '--fault', 'wrong-disk:lithium', '--json'],
    state,
  )
  expect(exit, stderr).toBe(exitsOf('disk-not-found', 'operator').run)
  expect(exit).toBe(3)
  // The view beside it tells the same to a person.
  expect(stderr).toContain('[disk-not-found]')
  expect(stderr).toContain('What to do: Check that this is the right machine')
  expect(JSON.parse(stdout)).toMatchObject({
    state: 'failed',
    failures: [
      {
        step: 'preflight/check-disk[lithium]',
        fault: {
          code: 'disk-not-found',
          blame: 'operator',
          message: expect.stringContaining('Nothing was written'),
          remedy: expect.any(String),
        },
      },
    ],
  })
  await nothingIsLeftRunning(state)
})

describe('what cannot be done', () => {
  /** How each ended, in text and as JSON. */
  const told = new Map<Refusal, { text: Ended; json: Ended }>()

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'recover-cli-'))
    ends.push(() => rmSync(folder, { recursive: true, force: true }))
    const lines: Line[] = []
    const places: (() => void)[] = []
    const answers: Ended[] = []
    for (const [i, refusal] of refusals.entries()) {
      const at: number[] = []
      for (const form of ['text', 'json']) {
        const state = join(folder, `${i}-${form}`)
        mkdirSync(state)
        if (refusal.before) lines.push({ args: refusal.before(state), state })
        const args = await refusal.typed(state)
        at.push(lines.push({ args: form === 'json' ? [...args, '--json'] : args, state }) - 1)
      }
      const [text = 0, json = 0] = at
      places.push(() => told.set(refusal, { text: answers[text]!, json: answers[json]! }))
    }
    answers.push(...(await typed(lines)))
    for (const place of places) place()
  }, 10 * 60_000)

  afterAll(() => {
    for (const end of ends) end()
  })

  describe.each(refusals)('$what', refusal => {
    const { code, blame, exit, says, advises } = refusal

    test(`is told in text: ${code}, exit code ${exit}`, () => {
      const ended = told.get(refusal)!.text
      expect(ended.exit, ended.stderr).toBe(exit)
      expect(ended.stderr).toMatch(says)
      expect(ended.stderr).toMatch(
        code === 'usage' ? /^Error: .+/m : new RegExp(`^Error: [^]*\\[${code}\\]$`, 'm'),
      )
      expect(ended.stderr).toMatch(/^What to do: .+/m)
      if (advises) expect(ended.stderr).toMatch(advises)
      // A stack is for bugs of ours.
      expect(ended.stderr).not.toMatch(/^\s+at /m)
      expect(ended.stdout).toBe('')
    })

    test(`is told in JSON: ${code}, exit code ${exit}`, () => {
      const ended = told.get(refusal)!.json
      expect(ended.exit, ended.stderr).toBe(exit)
      const { error, exit: said } = JSON.parse(ended.stdout) as {
        error: Record<string, string>
        exit: number
      }
      expect({ error, exit: said }).toMatchObject({ error: { code, blame }, exit })
      expect(error.message).toMatch(says)
      expect(error.remedy).toMatch(advises ?? /.{10}/)
    })

    test(`${code} and its exit code stand in docs/errors.md`, () => {
      const [, entry = ''] = readFileSync(join(root, 'docs/errors.md'), 'utf8').split(`\n## ${code}\n`)
      expect(exitsOf(code, blame).command).toBe(exit)
      expect(entry.split('\n')[1]).toMatch(new RegExp(`^\\*${blame}\\*, exit code ${exit}\\b`))
    })
  })
})

test.concurrent(
  'a program of its own tells its exit code to the shell, whatever it says',
  time,
  async test => {
    const state = scratch(test)
    expect(await recover(['nonsense', '--json'], state)).toMatchObject({ exit: 2, stderr: '' })
    expect(await recover(['runs'], state)).toMatchObject({ exit: 0, stdout: '' })
    const json = await recover(['runs', '--json'], state)
    expect(json.exit).toBe(0)
    expect(JSON.parse(json.stdout)).toEqual({ runs: [] })
  },
)

/** The example with another recover.yaml. */
function homeWith(state: string, change: (text: string) => string): string {
  const home = join(state, 'home')
  cpSync(example, home, { recursive: true })
  const file = join(home, 'recover.yaml')
  const text = readFileSync(file, 'utf8')
  expect(change(text)).not.toBe(text)
  writeFileSync(file, change(text))
  return file
}

/** A run of the example that was begun as a rehearsal and killed at once. */
async function begun(
  state: string,
  home: string,
  change: { inputHash?: string; runbookHash?: string } = {},
): Promise<{ run: string; journal: string }> {
  const input = join(home, 'recover.yaml')
  const { run, journal } = createRunFolder(join(state, 'recover'), '20261123-021500-ab12')
  const opened = createJournal(journal, {
    kind: 'run-began',
    run,
    runbook: 'from-scratch',
    runbookHash: '',
    stepHashes: {},
    inputHash: loadCluster(input).hash,
    input,
    program: '0.1.0',
    by: 'a test',
    mode: 'rehearsal',
    ...change,
  })
  await opened.append({ kind: 'note', step: 'preflight/reach-nas', text: 'so that damage is not at the end' })
  await opened.close()
  return { run, journal }
}

/** The lab is a process of its own; when the command has ended, it must end, too. */
