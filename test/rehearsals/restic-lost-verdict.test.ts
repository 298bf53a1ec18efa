import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseRestoreVerdict, restoreRefusals } from '../../src/volumes/restore-program.ts'
import { busybox, ResticPlace, restic, wholeVerdict } from './restic-repository.ts'

if (!restic)
  process.stdout.write(
    'skipped: a restore whose verdict was lost, with the real restic: it is not installed\n',
  )

let place: ResticPlace
/** What was restored whole and lost its mark, once for each snapshot. */
const restored: Record<string, { root: string; id: string; folder: string }> = {}
beforeAll(async () => {
  place = new ResticPlace()
  if (!restic) return
  for (const host of ['home', 'volsync']) {
    const [root, id, folder] = [place.root(), await place.snapshotOf(host), host === 'home' ? place.data : '']
    expect(place.restore(root, folder, id).code).toBe(0)
    restored[host] = { root, id, folder }
  }
}, 60_000)
afterAll(() => place.remove())

/** A volume of its own that was restored, down to the owners and times. */
function volumeOf(host: string) {
  const { root, id, folder } = restored[host]!
  const own = place.root()
  execFileSync('cp', ['-a', `${root}/.`, own])
  return {
    at: join(own, folder),
    again: (environment = {}) => place.restore(own, folder, id, environment),
  }
}

test.skipIf(!restic).for([
  { tools: 'this computer’s', host: 'home' },
  { tools: 'this computer’s', host: 'volsync' },
  { tools: 'busybox’s', host: 'home' },
])(
  'is recognised where $host made the snapshot and the tools are $tools, and nothing is written to it',
  ({ tools, host }, context) => {
    if (tools === 'busybox’s' && !busybox) return context.skip('busybox is not installed')
    const { at, again } = volumeOf(host)
    mkdirSync(join(at, 'lost+found'))
    const before = written(at)
    const { code, message, log } = again(tools === 'busybox’s' ? { PATH: place.applets() } : {})
    expect({ code, verdict: parseRestoreVerdict(message) }).toEqual({ code: 0, verdict: wholeVerdict })
    expect(log).toBe(`compared 0 of ${wholeVerdict.bytes}\n`)
    expect(written(at)).toEqual(before)
  },
)

test.skipIf(!restic).for<[string, (at: string) => void]>([
  ['a file more', at => writeFileSync(join(at, 'more'), '')],
  ['a folder more', at => mkdirSync(join(at, 'more'))],
  ['a file less', at => rmSync(join(at, 'sub/new\nline'))],
  ['another name', at => renameSync(join(at, 'sparse'), join(at, 'sparser'))],
  ['another owner', at => chownSync(join(at, 'sparse'), 26, 26)],
  ['another mode', at => chmodSync(join(at, 'empty'), 0o700)],
  ['another time', at => utimesSync(join(at, 'sparse'), 1, 1)],
  ['a link that leads elsewhere', at => relink(join(at, 'link'), 'sparse')],
  ['a byte that size and time hide', at => changeInside(join(at, 'sparse'))],
  ['another file of that size and time under a hard link’s name', at => replaceInside(join(at, 'hard link'))],
  ['the mark of another run', at => writeFileSync(join(at, '.recover-restore'), 'run-0')],
])('is not recognised where there is %s, and nothing is written to it', ([, change], context) => {
  if (process.getuid?.() !== 0) return context.skip('only root gives files to others')
  const { at, again } = volumeOf('volsync')
  const { atime, mtime } = statSync(at)
  change(at)
  utimesSync(at, atime, mtime)
  const before = written(at)
  expect(again()).toMatchObject({
    code: restoreRefusals.destinationNotOurs,
    message: 'the volume holds data that this run did not write',
  })
  expect(written(at)).toEqual(before)
})

test.skipIf(!restic)('a mark that cannot be removed is no end of a restore', () => {
  const { at, again } = volumeOf('volsync')
  writeFileSync(join(at, '.recover-restore'), 'run-1')
  const bin = join(place.folder, 'bin')
  mkdirSync(bin)
  // As on a volume that the kernel has made read-only meanwhile.
  const script = `case $1 in *.recover-restore) echo "rm: $1: Read-only file system" >&2; exit 1 ;; esac; exec /bin/rm "$@"`
  writeFileSync(join(bin, 'rm'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  expect(again({ PATH: `${bin}${delimiter}${process.env.PATH}` })).toMatchObject({
    code: restoreRefusals.incomplete,
    message: expect.stringMatching(
      /^the mark \.recover-restore cannot be removed from the volume: rm: .*Read-only file system$/,
    ),
  })
  expect(again()).toMatchObject({ code: 0 })
  expect(readdirSync(at)).not.toContain('.recover-restore')
})

/** When and how everything below a folder was last written, down to the changes of owners and links. */
function written(folder: string): Record<string, unknown> {
  const at = (path: string) => {
    const { ino, mode, ctimeMs, mtimeMs } = lstatSync(path)
    return { ino, mode, ctimeMs, mtimeMs }
  }
  const names = readdirSync(folder, { recursive: true }) as string[]
  return Object.fromEntries([['', at(folder)], ...names.map(name => [name, at(join(folder, name))])])
}

function relink(link: string, to: string): void {
  rmSync(link)
  symlinkSync(to, link)
}

function changeInside(file: string): void {
  const { atime, mtime } = statSync(file)
  const open = openSync(file, 'r+')
  writeSync(open, 'X', 1_000_000)
  closeSync(open)
  utimesSync(file, atime, mtime)
}

/** Another file of the same size, mode and time in its place. */
function replaceInside(file: string): void {
  const { atime, mtime, size } = statSync(file)
  rmSync(file)
  writeFileSync(file, 'X'.repeat(size))
  utimesSync(file, atime, mtime)
}
