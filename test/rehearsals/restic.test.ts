import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { hearingProgress } from '../../runbooks/volumes/copy-progress.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'
import { restoreJob, restoreSecret } from '../../src/volumes/objects.ts'
import {
  chooseSnapshot,
  type ResticSnapshot,
  resticFields,
  resticSnapshots,
} from '../../src/volumes/restic.ts'
import { restoreFault } from '../../src/volumes/restore-faults.ts'
import {
  parseRestoreProgress,
  parseRestoreVerdict,
  restoreRefusals,
} from '../../src/volumes/restore-program.ts'
import { busybox, ResticPlace, restic, wholeVerdict } from './restic-repository.ts'

const never = new AbortController().signal
if (!restic) process.stdout.write('skipped: restoring with the real restic: it is not installed\n')

const snapshot = (id: string, change: Partial<ResticSnapshot> = {}): ResticSnapshot => ({
  id: id.repeat(32),
  time: '2026-01-02T03:04:05Z',
  hostname: 'volsync',
  paths: ['/data'],
  ...change,
})

test('the newest snapshot that fits is chosen, or the one that is named', () => {
  const all = [
    snapshot('aa'),
    // Later in another zone's words.
    snapshot('bb', { time: '2026-01-03T01:00:00+02:00', tags: ['nightly', 'whole'] }),
    snapshot('cc', { time: '2026-01-02T22:00:00Z', hostname: 'nas' }),
  ]
  const choose = (place: object) =>
    chooseSnapshot('a/b', { restic: 'r', path: '/', ...place }, all).id.slice(0, 2)
  expect(choose({})).toBe('bb')
  expect(choose({ host: 'nas' })).toBe('cc')
  expect(choose({ tags: ['whole'] })).toBe('bb')
  expect(choose({ snapshot: 'aaaaaaaa' })).toBe('aa')
  expect(() => choose({ host: 'nas', tags: ['whole'] })).toThrow(
    'the repository of a/b has 3 snapshots (of volsync, nas), and none of the host nas, tagged whole',
  )
})

test('what opens a repository stands in the Secret alone, never in the Job', () => {
  expect(resticFields({ fields: ['AWS_ACCESS_KEY_ID'] })).toEqual([
    'RESTIC_REPOSITORY',
    'RESTIC_PASSWORD',
    'AWS_ACCESS_KEY_ID',
  ])
  const secret = restoreSecret({ namespace: 'a', name: 's' }, { RESTIC_PASSWORD: 'geheim' }, {})
  expect(secret.data).toEqual({ RESTIC_PASSWORD: 'Z2VoZWlt' })
  const backup = { snapshot: 'aa', path: '/data', secret: 's', run: 'r' }
  const job = JSON.stringify(restoreJob('j', { namespace: 'a', name: 'b' }, backup, {}, 'image'))
  expect(job).toContain('"envFrom":[{"secretRef":{"name":"s"}}]')
  expect(job).toContain('"mountPath":"/restore/data"')
  expect(job).not.toContain('geheim')
})

test('every refusal of the program has a word of its own', () => {
  for (const code of Object.values(restoreRefusals))
    expect(restoreFault('a/b', code, 'why')?.message).toContain('why')
  expect(restoreFault('a/b', 1, 'why')).toBeUndefined()
})

test('a restore tells how far it is, and how long each of its phases still takes', () => {
  let now = 0
  const told: string[] = []
  const hear = hearingProgress((done, total, unit) => told.push(`${done}/${total} ${unit}`), {
    read: parseRestoreProgress,
    now: () => now,
  })
  const mib = (n: number) => n * 2 ** 20
  const log = ['starting']
  for (const [at, words] of [
    [0, 'restoring <Snapshot>'],
    [1_000, `restored ${mib(100)} of ${mib(1000)}`],
    [11_000, `restored ${mib(200)} of ${mib(1000)}`],
    [91_000, `restored ${mib(1001)} of ${mib(1000)}`],
    [92_000, `compared 0 of ${mib(1000)}`],
    [93_000, `compared ${mib(500)} of ${mib(1000)}`],
  ] as const) {
    now = at
    log.push(words)
    hear(`${log.join('\n')}\n`)
  }
  expect(told).toEqual([
    '100/1000 MiB restored',
    '200/1000 MiB restored, about 80s left',
    '1000/1000 MiB restored, about 0s left',
    '0/1000 MiB compared',
    '500/1000 MiB compared, about 1s left',
  ])
})

let place: ResticPlace
beforeAll(() => {
  place = new ResticPlace()
}, 60_000)
afterAll(() => place.remove())

let root: string
beforeEach(() => {
  root = place.root()
})

const restore = (folder: string, id: string, environment: Record<string, string> = {}) =>
  place.restore(root, folder, id, environment)
const idOf = (host: string) => place.snapshotOf(host)

test.skipIf(!restic).for(['home', 'volsync'])(
  'a snapshot of %s is restored whole, and no mark is left',
  async host => {
    const folder = host === 'volsync' ? '' : place.data
    const { opening } = place
    const before = readdirSync(opening.RESTIC_REPOSITORY, { recursive: true }).sort()
    const { code, message, mounted, log } = restore(folder, await idOf(host))
    expect({ code, verdict: parseRestoreVerdict(message) }).toEqual({
      code: 0,
      verdict: wholeVerdict,
    })
    expect(log).toMatch(/^restored \d+ of 3000017$/m)
    expect(measureFolder(mounted)).toEqual(measureFolder(place.data))
    expect(readdirSync(mounted).sort()).toEqual(readdirSync(place.data).sort())
    // The folder's own mode comes along, where the snapshot has it.
    if (host === 'home') expect(statSync(mounted).mode & 0o777).toBe(0o750)
    expect(statSync(join(mounted, 'hard link')).ino).toBe(statSync(join(mounted, 'README.txt')).ino)
    // Neither locked nor written to.
    expect(readdirSync(opening.RESTIC_REPOSITORY, { recursive: true }).sort()).toEqual(before)
  },
)

if (!busybox) process.stdout.write('skipped: restoring with the tools of busybox: it is not installed\n')
test.skipIf(!restic || !busybox)('the tools of restic’s own image do the same', async () => {
  const { code, message, mounted } = restore('', await idOf('volsync'), {
    PATH: place.applets(),
  })
  expect({ code, verdict: parseRestoreVerdict(message) }).toEqual({
    code: 0,
    verdict: wholeVerdict,
  })
  expect(measureFolder(mounted)).toEqual(measureFolder(place.data))
})

test.skipIf(!restic)(
  'what this run began is begun again; what somebody else wrote is left alone',
  async () => {
    const id = await idOf('volsync')
    mkdirSync(join(root, 'lost+found'))
    writeFileSync(join(root, '.recover-restore'), 'run-1')
    writeFileSync(join(root, 'README.txt'), 'half')
    writeFileSync(join(root, 'of a former try'), '')
    symlinkSync('elsewhere', join(root, 'link'))
    expect(restore('', id).code).toBe(0)
    expect(readdirSync(root).sort()).toEqual([...readdirSync(place.data), 'lost+found'].sort())

    writeFileSync(join(root, '.recover-restore'), 'run-1')
    expect(restore('', id, { RUN: 'run-2' })).toMatchObject({ code: restoreRefusals.destinationNotOurs })
    rmSync(join(root, '.recover-restore'))
    expect(measureFolder(root)).toEqual(measureFolder(place.data))
  },
)

test.skipIf(!restic)('a wrong password and a folder that is not there are told apart', async () => {
  const id = await idOf('volsync')
  expect(restore('', id, { RESTIC_PASSWORD: 'wrong' })).toMatchObject({
    code: restoreRefusals.repositoryRefuses,
    message: expect.stringContaining('wrong password'),
  })
  expect(restore('/nothing', id).code).toBe(restoreRefusals.snapshotEmpty)
  expect(readdirSync(join(root, 'nothing'))).toEqual([])
  await expect(resticSnapshots({ ...place.opening, RESTIC_PASSWORD: 'wrong' }, never)).rejects.toMatchObject({
    code: 'backup-unreachable',
    message: expect.stringContaining('wrong password'),
  })
})
