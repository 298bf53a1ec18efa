import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import ReportCommand from '../../commands/report.ts'
import StatusCommand from '../../commands/status.ts'
import { reviewNow, reviewRun } from '../../runbooks/review.ts'
import { showStatus } from '../../src/report/status.ts'
import { nobody } from '../../src/runbook/consent.ts'
import { takeLock } from '../../src/runbook/lock.ts'
import { scratch } from '../runbook/harness.ts'
import { beginAtHome, furnish, workAtHome } from './small-home.ts'

let state = ''
let before: string | undefined
let told = ''

beforeEach(() => {
  before = process.env.XDG_STATE_HOME
  process.env.XDG_STATE_HOME = scratch('status')
  told = ''
  vi.spyOn(process.stderr, 'write').mockImplementation(text => {
    told += String(text)
    return true
  })
  state = join(process.env.XDG_STATE_HOME, 'recover')
})

afterEach(() => {
  vi.restoreAllMocks()
  if (before === undefined) delete process.env.XDG_STATE_HOME
  else process.env.XDG_STATE_HOME = before
  process.exitCode = 0
})

const lock = (run: string) =>
  takeLock(join(state, 'locks', 'home'), {
    run,
    doing: 'recover small-home',
    timeoutMs: 0,
    stop: new AbortController().signal,
    notice: () => {},
  })
const shown = () => showStatus(reviewNow(), new Date(), 'UTC').join('\n')

test('where nothing was ever done', async () => {
  expect(shown()).toBe('No run is going on.\nThere is no run yet on this machine.')
  await StatusCommand.run([], import.meta.url)
  expect(process.exitCode).toBe(0)
  expect(told).toBe('No run is going on.\nThere is no run yet on this machine.\n')
})

test('who is at it before anything is journalled', async () => {
  const held = await lock('r1')
  expect(shown()).toContain(`home: `)
  expect(shown()).toContain('Run r1 has changed nothing yet')
  held.release()
})

test('a run that is going on: its holder, what is under way, what only looks; then its end', async () => {
  const home = furnish()
  let go = () => {}
  home.pause = new Promise(resolve => {
    go = resolve
  })
  const folder = await beginAtHome(state, home)
  const held = await lock(folder.run)
  const work = workAtHome(folder, home)
  await expect.poll(() => shown()).toContain('Under way: Copy the disk of photos/library')
  expect(shown()).toContain(`@${hostname()} (process ${process.pid}) is at it, "recover small-home"`)
  expect(shown()).toContain('to copy it to a new disk')
  await expect.poll(() => shown()).toContain('last noted: half of it is there')
  expect(shown()).not.toContain('recover resume')
  expect(reviewRun().state).toBe('running')
  go()
  await work
  held.release()
  expect(shown()).toContain('No run is going on.')
  expect(shown()).toContain(`Run ${folder.run} is finished (in earnest); 13 of 13 known steps done`)
})

test('a killed process’s lock is not taken for a run that goes on', async () => {
  const home = furnish()
  const folder = await beginAtHome(state, home)
  const held = await lock(folder.run)
  const holder = JSON.parse(readFileSync(held.path, 'utf8')) as object
  const write = (over: object) => writeFileSync(held.path, JSON.stringify({ ...holder, ...over }))
  expect(reviewRun().state).toBe('running')
  write({ processStart: '1' })
  expect(reviewRun().state).toBe('interrupted')
  write({ bootId: 'the one before' })
  expect(reviewRun().state).toBe('interrupted')
  expect(shown()).toContain(`To do: Go on with \`recover resume ${folder.run}\``)
  write({ host: 'elsewhere' })
  expect(reviewRun().state).toBe('running')
  expect(shown()).toContain('only elsewhere can tell')
})

test('steps that nothing holds back are told while nothing of theirs is recorded', async () => {
  const home = furnish()
  const folder = await beginAtHome(state, home)
  const held = await lock(folder.run)
  expect(shown()).toContain('Looking, or waiting for it to come true: Reach the NAS')
  held.release()
  expect(shown()).toContain('Comes next: Reach the NAS')
})

test('exit codes of status follow the newest run', async () => {
  const home = furnish()
  const folder = await beginAtHome(state, home)
  const exit = async () => {
    await StatusCommand.run([], import.meta.url)
    return process.exitCode
  }
  expect(await exit()).toBe(130)
  home.fire = true
  await workAtHome(folder, home)
  expect(await exit()).toBe(4)
  home.fire = false
  await workAtHome(folder, home, { resumed: true, consent: nobody })
  expect(await exit()).toBe(3)
  await workAtHome(folder, home, { resumed: true })
  expect(await exit()).toBe(0)
  writeFileSync(folder.journal, readFileSync(folder.journal, 'utf8').replace('"seq":3', '"seq":4'))
  expect(await exit()).toBe(2)
  expect(told).toContain('Failed: Install Flatcar on lithium: lithium burns [on-fire]')
  expect(shown()).toContain('Damaged: the journal is damaged at')
})

test('the report as a file: private, either format, with its exit codes', async () => {
  const home = furnish()
  home.badCable = true
  const folder = await beginAtHome(state, home)
  const out = scratch('report-out')
  await workAtHome(folder, home)
  const page = join(out, 'report.md')
  await ReportCommand.run(['--output', page], import.meta.url)
  expect(process.exitCode).toBe(5)
  expect(readFileSync(page, 'utf8')).toMatch(/^# Run 20261123-021500-ab12 is finished\n/)
  expect(statSync(page).mode & 0o777).toBe(0o600)
  expect(told).toContain(`is in ${page}`)
  const json = join(out, 'report.json')
  await ReportCommand.run([folder.run, '--format', 'json', '-o', json], import.meta.url)
  expect(JSON.parse(readFileSync(json, 'utf8'))).toEqual(JSON.parse(JSON.stringify(reviewRun())))

  mkdirSync(join(out, 'folder'))
  await ReportCommand.run(['--output', join(out, 'folder')], import.meta.url)
  expect(process.exitCode).toBe(2)
  expect(told).toContain('[report-unwritable]')
  await ReportCommand.run(['no-such-run'], import.meta.url)
  expect(process.exitCode).toBe(2)
  expect(told).toContain('[run-unknown]')
})
