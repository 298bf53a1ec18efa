import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
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
  restoreProgram,
  restoreRefusals,
} from '../../src/volumes/restore-program.ts'

const never = new AbortController().signal
const restic = (process.env.PATH ?? '').split(delimiter).some(folder => existsSync(join(folder, 'restic')))
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

let place: string
let data: string
let opening: Record<string, string>
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'recover-restic-'))
  // A folder may be called anything.
  data = join(place, 'my [old] data, *')
  opening = { RESTIC_REPOSITORY: join(place, 'repository'), RESTIC_PASSWORD: 'a password of the test' }
  mkdirSync(join(data, 'sub'), { recursive: true })
  mkdirSync(join(data, 'empty'))
  writeFileSync(join(data, 'README.txt'), 'hello')
  // A name that looks like restic's own list.
  writeFileSync(join(data, 'sub', 'a,"type":"file","size":7,b'), 'awkward')
  writeFileSync(join(data, 'sub', 'new\nline'), '')
  writeFileSync(join(data, 'sparse'), 'x')
  truncateSync(join(data, 'sparse'), 3_000_000)
  linkSync(join(data, 'README.txt'), join(data, 'hard link'))
  symlinkSync('README.txt', join(data, 'link'))
  chmodSync(data, 0o750)
  if (!restic) return
  const env = { ...process.env, ...opening }
  const quiet = { env, stdio: 'ignore' } as const
  execFileSync('restic', ['--no-cache', 'init'], quiet)
  execFileSync('restic', ['--no-cache', 'backup', data, '--host', 'home'], quiet)
  // As VolSync's mover does it.
  execFileSync('restic', ['--no-cache', 'backup', '.', '--host', 'volsync'], { ...quiet, cwd: data })
}, 60_000)
afterAll(() => rmSync(place, { recursive: true, force: true }))

let root: string
beforeEach(() => {
  root = mkdtempSync(join(place, 'restore-'))
})

/** Runs the Job's program as its container would, with a folder of ours in place of the mount. */
function restore(
  folder: string,
  id: string,
  environment: Record<string, string> = {},
): { code: number | null; message: string; mounted: string; log: string } {
  const mounted = join(root, folder)
  mkdirSync(mounted, { recursive: true })
  const verdict = join(place, 'verdict')
  rmSync(verdict, { force: true })
  const { status, stdout } = spawnSync('sh', ['-c', restoreProgram], {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      ...opening,
      ROOT: root,
      VERDICT: verdict,
      RUN: 'run-1',
      SNAPSHOT: id,
      FOLDER: folder,
      PAUSE: '0.01',
      ...environment,
    },
  })
  return {
    code: status,
    message: existsSync(verdict) ? readFileSync(verdict, 'utf8') : '',
    mounted,
    log: stdout,
  }
}

const idOf = async (host: string) =>
  chooseSnapshot('a/b', { restic: 'r', path: '/', host }, await resticSnapshots(opening, never)).id

test.skipIf(!restic).for(['home', 'volsync'])(
  'a snapshot of %s is restored whole, and no mark is left',
  async host => {
    const folder = host === 'volsync' ? '' : data
    const before = readdirSync(opening.RESTIC_REPOSITORY!, { recursive: true }).sort()
    const { code, message, mounted, log } = restore(folder, await idOf(host))
    expect({ code, verdict: parseRestoreVerdict(message) }).toEqual({
      code: 0,
      verdict: { files: 5, links: 1, bytes: 3_000_017 },
    })
    expect(log).toMatch(/^restored \d+ of 3000017$/m)
    expect(measureFolder(mounted)).toEqual(measureFolder(data))
    expect(readdirSync(mounted).sort()).toEqual(readdirSync(data).sort())
    // The folder's own mode comes along, where the snapshot has it.
    if (host === 'home') expect(statSync(mounted).mode & 0o777).toBe(0o750)
    expect(statSync(join(mounted, 'hard link')).ino).toBe(statSync(join(mounted, 'README.txt')).ino)
    // Neither locked nor written to.
    expect(readdirSync(opening.RESTIC_REPOSITORY!, { recursive: true }).sort()).toEqual(before)
  },
)

// restic's own image is made from Alpine: its sh and its tools are busybox's.
const busybox = (process.env.PATH ?? '')
  .split(delimiter)
  .map(f => join(f, 'busybox'))
  .find(existsSync)
if (!busybox) process.stdout.write('skipped: restoring with the tools of busybox: it is not installed\n')
test.skipIf(!restic || !busybox)('the tools of restic’s own image do the same', async () => {
  const applets = join(place, 'applets')
  mkdirSync(applets)
  execFileSync(busybox!, ['--install', '-s', applets])
  symlinkSync(
    execFileSync('sh', ['-c', 'command -v restic'], { encoding: 'utf8' }).trim(),
    join(applets, 'restic'),
  )
  const { code, message, mounted } = restore('', await idOf('volsync'), { PATH: applets })
  expect({ code, verdict: parseRestoreVerdict(message) }).toEqual({
    code: 0,
    verdict: { files: 5, links: 1, bytes: 3_000_017 },
  })
  expect(measureFolder(mounted)).toEqual(measureFolder(data))
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
    expect(readdirSync(root).sort()).toEqual([...readdirSync(data), 'lost+found'].sort())

    expect(restore('', id, { RUN: 'run-2' })).toMatchObject({ code: restoreRefusals.destinationNotOurs })
    expect(measureFolder(root)).toEqual(measureFolder(data))
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
  await expect(resticSnapshots({ ...opening, RESTIC_PASSWORD: 'wrong' }, never)).rejects.toMatchObject({
    code: 'backup-unreachable',
    message: expect.stringContaining('wrong password'),
  })
})
