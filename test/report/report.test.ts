import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { markdown } from '../../src/report/markdown.ts'
import { type Report, reportOf } from '../../src/report/report.ts'
import { readRun } from '../../src/report/source.ts'
import { covered } from '../../src/report/story.ts'
import { summary } from '../../src/report/summary.ts'
import type { RunFolder } from '../../src/runbook/run-folder.ts'
import { scratch } from '../runbook/harness.ts'
import { beginAtHome, furnish, type Home, onSteadyClock, workAtHome } from './small-home.ts'

const utc = { timeZone: 'UTC' }
const tell = (folder: RunFolder, goingOn = false) => reportOf(readRun(folder), goingOn)
const stepOf = (report: Report, id: string) => report.phases.flatMap(p => p.steps).find(s => s.step === id)

async function finishedHome(home: Home = furnish(), plan = true): Promise<RunFolder> {
  const folder = await beginAtHome(scratch('report'), home, plan)
  await workAtHome(folder, home)
  return folder
}

describe('a finished run', () => {
  test('every step with its evidence, every volume with its proof, what remains', async () => {
    const report = tell(await finishedHome())
    expect(report).toMatchObject({ state: 'finished', mode: 'real', left: 0, workedMeasured: true })
    expect(report.phases.map(p => [p.title, p.done, p.total])).toEqual([
      ['Preflight', 1, 1],
      ['Evidence', 1, 1],
      ['Protect', 2, 2],
      ['Hosts', 2, 2],
      ['Volumes', 6, 6],
      ['Proof', 1, 1],
    ])
    expect(stepOf(report, 'hosts/install-flatcar[lithium]')).toMatchObject({
      title: 'Install Flatcar on lithium',
      state: 'done',
      how: 'applied',
      evidence: 'lithium runs Flatcar 4459.2.1',
      attempts: 1,
      notes: ['lithium writes'],
    })
    expect(report.volumes.map(v => [v.claim, v.proof, v.back?.by, v.back?.handle])).toEqual([
      ['grafana/data', 'same', 'adopt', 'c0ffee-1'],
      ['photos/library', 'same', 'copy', 'new-disk'],
      ['scratch/cache', 'begins-empty', undefined, undefined],
    ])
    const [grafana] = report.volumes
    expect(grafana?.before).toEqual(grafana?.after)
    expect(grafana).toMatchObject({
      snapshot: 'recover-test',
      lun: { name: 'k8s-csi-1' },
      before: { files: 2 },
    })
    expect(report.ownerlessDisks).toEqual(['k8s-csi-forgotten'])
    expect(report.consents.flatMap(c => c.victims.map(v => [c.how, v.name, v.begun]))).toEqual([
      ['typed', 'lithium /dev/nvme0n1', true],
      ['typed', 'beryllium /dev/nvme0n1', true],
    ])
    expect(report.happenings).toEqual([])
    expect(report.failures).toEqual([])
    expect(report.remains).toEqual(['Pull the stick out of lithium', 'Old disks stay until you delete them'])
  })

  test('as a page and as a summary', async () => {
    const report = reportOf(onSteadyClock(readRun(await finishedHome())), false)
    await expect(markdown(report, utc)).toMatchFileSnapshot('pages/finished.md')
    await expect(`${summary(report).join('\n')}\n`).toMatchFileSnapshot('pages/finished-summary.txt')
  })

  test('warnings have a section of their own', async () => {
    const report = tell(await finishedHome({ ...furnish(), leaks: true }))
    expect(report.warnings).toEqual([
      {
        step: 'proof/what-remains',
        title: 'Say what a person still has to do',
        code: 'leak',
        blame: 'operator',
        message: 'the roof leaks',
        remedy: 'Mend it',
      },
    ])
    expect(markdown(report, utc)).toContain(
      '## Warnings\n\n- Say what a person still has to do: the roof leaks (`leak`)\n  - What to do: Mend it\n',
    )
    expect(summary(report).at(-1)).toMatch(/^The whole report, with 1 warning: /)
  })

  test('without a plan, titles come from the steps’ names and nothing is missing', async () => {
    const report = tell(await finishedHome(furnish(), false))
    expect(stepOf(report, 'hosts/install-flatcar[lithium]')?.title).toBe('Install flatcar (lithium)')
    expect(report.phases.map(p => p.title).join()).toBe('Preflight,Evidence,Protect,Hosts,Volumes,Proof')
    expect(report.phases.every(p => p.done === p.total)).toBe(true)
  })

  test('a plan that cannot be read is said, and the rest is told', async () => {
    const folder = await finishedHome()
    writeFileSync(join(folder.path, 'plan.json'), '{"entries": 3}')
    const report = tell(folder)
    expect(report.happenings.map(h => h.kind)).toEqual(['plan-unreadable'])
    expect(report.state).toBe('finished')
    expect(stepOf(report, 'preflight/reach-nas')?.title).toBe('Reach nas')
  })
})

describe('a run that failed', () => {
  test('names the failure, its remedy and how to go on; after the resume it is overcome', async () => {
    const home = furnish()
    const folder = await beginAtHome(scratch('report'), home)
    home.fire = true
    await workAtHome(folder, home)
    const failed = tell(folder)
    expect(failed.state).toBe('failed')
    expect(failed.failures.map(f => [f.step, f.fault.code, f.standing])).toEqual([
      ['hosts/install-flatcar[lithium]', 'on-fire', true],
      ['hosts/install-flatcar[beryllium]', 'on-fire', true],
    ])
    expect(stepOf(failed, 'hosts/install-flatcar[lithium]')?.state).toBe('failed')
    expect(stepOf(failed, 'proof/what-remains')?.state).toBe('ahead')
    expect(failed.remains).toEqual([
      'Install Flatcar on lithium: Put out the fire',
      'Install Flatcar on beryllium: Put out the fire',
      'Go on with `recover resume 20261123-021500-ab12`',
    ])
    expect(failed.volumes.map(v => v.proof)).toEqual(['missing', 'missing', 'begins-empty'])
    const page = markdown(reportOf(onSteadyClock(readRun(folder)), false), utc)
    await expect(page).toMatchFileSnapshot('pages/failed.md')

    home.fire = false
    await workAtHome(folder, home, { resumed: true, accepted: ['cluster-file'] })
    const report = tell(folder)
    expect(report.state).toBe('finished')
    expect(report.failures.map(f => f.standing)).toEqual([false, false])
    expect(report.processes.map(p => [p.by, p.program, p.state])).toEqual([
      ['potter@bench', '0.1.0', 'failed'],
      ['potter@laptop', '0.1.1', 'finished'],
    ])
    expect(report.happenings.map(h => h.kind)).toEqual(['accepted'])
    expect(report.remains).not.toContain('Install Flatcar on lithium: Put out the fire')
  })

  test('a look that failed for a while does not count against a step that is done', async () => {
    const home = furnish()
    const folder = await finishedHome(home)
    home.fire = true
    await workAtHome(folder, home, { resumed: true })
    expect(stepOf(tell(folder), 'hosts/install-flatcar[lithium]')?.state).toBe('failed')
    home.fire = false
    delete home.bound['photos/library']
    // The third process finds what the first found and writes no record of that; it is stopped before it is through.
    const dead = new AbortController()
    const onPoint = (point: string) => point === 'before-effect' && dead.abort()
    await workAtHome(folder, home, { resumed: true, now: dead.signal, onPoint })
    expect(tell(folder)).toMatchObject({
      state: 'stopped',
      failures: [{ standing: false }, { standing: false }],
    })
    expect(stepOf(tell(folder), 'hosts/install-flatcar[lithium]')?.state).toBe('done')
    await workAtHome(folder, home, { resumed: true })
    const report = tell(folder)
    expect(report.state).toBe('finished')
    expect(stepOf(report, 'hosts/install-flatcar[lithium]')).toMatchObject({ state: 'done', how: 'applied' })
    expect(report.phases.every(p => p.done === p.total)).toBe(true)
  })
})

describe('volumes', () => {
  test('other content after than before comes first of all', async () => {
    const home = furnish()
    home.badCable = true
    const report = tell(await finishedHome(home))
    expect(report.volumes.map(v => v.proof)).toEqual(['same', 'differs', 'begins-empty'])
    expect(report.remains[0]).toContain('Let nobody write to photos/library')
    expect(markdown(report)).toContain('**DIFFERS**')
    expect(summary(report)[2]).toMatch(/^ {2}photos\/library: copied; NOT what it was/)
  })

  test('a verification that refuses is named beside its volume', async () => {
    const home = furnish()
    home.badCable = true
    home.strict = true
    const report = tell(await finishedHome(home))
    const photos = report.volumes.find(v => v.claim === 'photos/library')
    expect(photos).toMatchObject({ proof: 'missing', problem: { code: 'content-differs' } })
    expect(summary(report).join('\n')).toMatch(/photos\/library: copied; NOT proven: .*holds something else/)
    expect(report.remains[0]).toBe('Verify the content of photos/library: Copy it again')
  })

  test('what was written after it was verified is not proven', async () => {
    const home = furnish()
    const folder = await finishedHome(home)
    delete home.bound['photos/library']
    // Killed in the middle of doing it again: the old proof says nothing of the new disk.
    const dead = new AbortController()
    await workAtHome(folder, home, {
      resumed: true,
      now: dead.signal,
      onPoint: point => point === 'before-effect' && dead.abort(),
    })
    const report = tell(folder)
    const photos = report.volumes.find(v => v.claim === 'photos/library')
    expect(photos?.proof).toBe('missing')
    expect(photos?.back).toBeUndefined()
    expect(report.happenings.map(h => h.kind)).toEqual(['moved'])

    await workAtHome(folder, home, { resumed: true })
    const after = tell(folder)
    expect(after.state).toBe('finished')
    expect(after.volumes.map(v => v.proof)).toEqual(['same', 'same', 'begins-empty'])
    expect(after.happenings.map(h => h.kind)).toContain('moved')
  })
})

describe('a journal that was cut short', () => {
  test('at any byte: what was checkpointed is told, the run is interrupted, and the tail is named', async () => {
    const folder = await finishedHome()
    const bytes = readFileSync(folder.journal)
    const cut = scratch('report-cut')
    const path = join(cut, 'journal.ndjson')
    fc.assert(
      fc.property(fc.integer({ min: bytes.indexOf(10) + 1, max: bytes.length - 1 }), length => {
        const part = bytes.subarray(0, length)
        writeFileSync(path, part)
        const report = reportOf(readRun({ run: folder.run, path: cut, journal: path }), false)
        expect(report.state).toBe('interrupted')
        const whole = part.toString().split('\n').slice(0, -1)
        const checkpoints = whole.filter(l => l.includes('"kind":"checkpoint"')).length
        const steps = report.phases.flatMap(p => p.steps)
        expect(steps.filter(s => s.state === 'done')).toHaveLength(checkpoints)
        const torn = part.at(-1) === 10 ? [] : ['torn-tail']
        expect(report.happenings.map(h => h.kind).sort()).toEqual(['killed', ...torn])
        expect(report.remains).toContain(`Go on with \`recover resume ${folder.run}\``)
        expect(markdown(report)).toContain('was interrupted')
        expect(summary(report).length).toBeLessThanOrEqual(15)
      }),
      { numRuns: 150 },
    )
  })

  test('and resumed: the tail, the killed process and the repeated step are told', async () => {
    const home = furnish()
    const folder = await finishedHome(home)
    const lines = readFileSync(folder.journal, 'utf8').split('\n')
    const intent = lines.findIndex(l => l.includes('"kind":"intent","step":"volumes/copy'))
    writeFileSync(folder.journal, `${lines.slice(0, intent + 1).join('\n')}\n{"seq":9`)
    delete home.bound['photos/library']
    await workAtHome(folder, home, { resumed: true })
    const report = tell(folder)
    expect(report.state).toBe('finished')
    expect(report.happenings.map(h => h.kind).sort()).toEqual(['killed', 'repeated', 'torn-tail'])
    expect(stepOf(report, 'volumes/copy[photos/library]')).toMatchObject({ attempts: 2, how: 'applied' })
    expect(report.processes.map(p => p.measured)).toEqual([false, true])
    expect(summary(report)[0]).toContain('after about')
  })

  test('while a living process holds it, it is going on', async () => {
    const folder = await finishedHome()
    const lines = readFileSync(folder.journal, 'utf8').split('\n')
    const intent = lines.findIndex(l => l.includes('"kind":"intent","step":"volumes/copy'))
    writeFileSync(folder.journal, `${lines.slice(0, intent + 1).join('\n')}\n{"seq":9`)
    const report = tell(folder, true)
    expect(report.state).toBe('running')
    expect(report.happenings).toEqual([])
    expect(stepOf(report, 'volumes/copy[photos/library]')).toMatchObject({
      state: 'begun',
      changes: ['copy it to a new disk'],
    })
    expect(report.remains).toEqual([])
  })
})

describe('a damaged journal', () => {
  test('whichever line it is, the line is named and everything before it is told', async () => {
    const folder = await finishedHome()
    const lines = readFileSync(folder.journal, 'utf8').split('\n').slice(0, -1)
    for (let i = 0; i < lines.length; i += 1) {
      const broken = lines.map((l, n) => (n === i ? l.replace('"at":"2', '"at":"3') : l))
      writeFileSync(folder.journal, `${broken.join('\n')}\n`)
      const report = tell(folder)
      expect(report.state).toBe('damaged')
      expect(report.damage).toMatchObject({
        line: i + 1,
        linesLost: lines.length - i,
        fault: { code: 'journal-damaged', message: expect.stringContaining(`journal.ndjson:${i + 1}:`) },
      })
      const checkpoints = lines.slice(0, i).filter(l => l.includes('"kind":"checkpoint"')).length
      expect(report.phases.reduce((sum, p) => sum + p.done, 0)).toBe(checkpoints)
      expect(report.remains.join()).not.toContain('recover resume')
      expect(markdown(report)).toContain(`**The journal is damaged at line ${i + 1}.**`)
      expect(summary(report)[1]).toContain('is damaged at')
    }
  })

  test('a journal that begins with something else', async () => {
    const folder = await finishedHome()
    writeFileSync(folder.journal, 'not a journal\nat all\n')
    expect(tell(folder)).toMatchObject({ state: 'damaged', damage: { line: 1, linesLost: 2 } })
    writeFileSync(folder.journal, '')
    expect(tell(folder)).toMatchObject({ state: 'damaged', damage: { line: 1 } })
  })
})

test('time is counted once where steps ran side by side, and not while nobody worked', () => {
  expect(
    covered([
      { from: 0, to: 10 },
      { from: 5, to: 12 },
      { from: 100, to: 101 },
      { from: 6, to: 7 },
    ]),
  ).toBe(13)
  expect(covered([])).toBe(0)
})

test('a night between two processes is nobody’s work', async () => {
  const home = furnish()
  const folder = await beginAtHome(scratch('report'), home)
  home.fire = true
  await workAtHome(folder, home)
  home.fire = false
  await workAtHome(folder, home, { resumed: true })
  const source = readRun(folder)
  const resumedAt = source.records.find(r => r.kind === 'resumed')!.seq
  const night = 8 * 3_600_000
  const records = source.records.map(r =>
    r.seq < resumedAt ? r : { ...r, at: new Date(Date.parse(r.at) + night).toISOString() },
  )
  const report = reportOf({ ...source, records }, false)
  expect(report.workedMs).toBeLessThan(60_000)
  for (const phase of report.phases) expect(phase.elapsedMs).toBeLessThan(60_000)
})

test('nothing that a machine answered can break the page or the terminal', async () => {
  const folder = await finishedHome()
  const source = readRun(folder)
  const nasty = fc.string({
    unit: fc.constantFrom(
      '|',
      '`a|b`',
      '\n',
      '`',
      '<',
      '*',
      '_',
      '\\',
      '#',
      '\u001b[2J',
      '\u202e',
      'é',
      'a',
      ' ',
      '1.',
      '-',
    ),
  })
  fc.assert(
    fc.property(nasty, nasty, (evidence, claim) => {
      const records = source.records.map(r => {
        if (r.kind !== 'checkpoint') return r
        const output = JSON.parse(
          JSON.stringify(r.output).replaceAll('"grafana/data"', () => JSON.stringify(claim)),
        ) as unknown
        return { ...r, evidence, output }
      })
      const report = reportOf({ ...source, records }, false)
      const page = markdown(report, utc)
      expect(page).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202a-\u202e]/)
      for (const table of page.split('\n\n').filter(p => p.startsWith('|'))) {
        const columns = table.split('\n').map(row => row.match(/(?<!\\)(?:\\\\)*\|/g)?.length)
        expect(new Set(columns).size, table).toBe(1)
      }
      for (const line of summary(report)) expect(line).not.toMatch(/[\u0000-\u001f\u202a-\u202e]/)
    }),
  )
})
