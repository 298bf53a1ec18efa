import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { hearingProgress } from '../../runbooks/volumes/copy-progress.ts'
import { measureFolder, runProgram } from '../../src/lab/nodes/job-programs.ts'
import {
  copyProgram,
  copyRefusals,
  measureProgram,
  parseCopyProgress,
  parseCopyVerdict,
  parseMeasurement,
} from '../../src/volumes/programs.ts'
import { scratch } from '../runbook/harness.ts'

function found(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, program))
    .find(existsSync)
}

/** Runs a Job's program as its container would, with folders of ours in place of the mounts. */
function run(
  script: string,
  places: Record<string, string>,
  environment: Record<string, string> = {},
  path = process.env.PATH ?? '',
): { code: number | null; message: string; stderr: string } {
  const log = join(scratch('log'), 'termination-log')
  const here = Object.entries({ ...places, '/dev/termination-log': log }).reduce(
    (text, [from, to]) => text.replaceAll(from, to),
    script,
  )
  const { status, stderr } = spawnSync('sh', ['-c', here], {
    env: { PATH: path, LANG: 'C.UTF-8', ...environment },
    encoding: 'utf8',
  })
  return { code: status, message: existsSync(log) ? readFileSync(log, 'utf8') : '', stderr }
}

function measured(folder: string, path?: string): unknown {
  const { code, message, stderr } = run(measureProgram, { '/data': folder }, {}, path)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const measurement = parseMeasurement(message)
  expect(measurement).toBeDefined()
  return measurement
}

function write(folder: string, files: Record<string, string | Buffer>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
}

// Names that a person's files have, and names that break programs.
const awkward = {
  'with blanks  in it.txt': 'a',
  'new\nline': 'b',
  '\nbegins with one': 'c',
  'single \' double " both': 'd',
  '-rf': 'e',
  '--help': 'f',
  'back\\slash': 'g',
  'carriage\rreturn': 'h',
  'ünïcödé Ω 写真 📷': 'i',
  'ünïcödé decomposed': 'j',
  '$(touch injected)`id`': 'k',
  '*': 'l',
  '?[a]': 'm',
  'tab\there': 'n',
  '%s %d': 'o',
  ' leading blank': 'p',
  'trailing blank ': 'q',
  '.hidden': 'r',
  Upper: 's',
  upper: 't',
  'a/b/c/deep': 'u',
  'a.b': 'v',
  'a-b': 'w',
  empty: '',
  'no newline at end': 'x',
  binary: Buffer.from(Array.from({ length: 4096 }, (_, i) => i % 256)),
}

describe('the measuring program and the lab’s stand-in agree', () => {
  let folder: string
  beforeEach(() => {
    folder = scratch('measure')
  })

  test('on nothing at all', () => {
    expect(measured(folder)).toEqual({
      files: 0,
      bytes: 0,
      sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    })
    expect(measureFolder(folder)).toEqual(measured(folder))
  })

  test.each(Object.entries(awkward))('on a file named %j', (name, content) => {
    write(folder, { [name]: content })
    expect(measured(folder)).toMatchObject({ files: 1, bytes: content.length })
    expect(measureFolder(folder)).toEqual(measured(folder))
  })

  test('on all of them together', () => {
    write(folder, awkward)
    expect(measured(folder)).toMatchObject({ files: Object.keys(awkward).length })
    expect(measureFolder(folder)).toEqual(measured(folder))
    expect(readdirSync(folder)).not.toContain('injected')
  })

  test('on a name that is no UTF-8', () => {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/latin1-`), Buffer.from([0xe9])]), 'é')
    expect(measureFolder(folder)).toEqual(measured(folder))
    expect(measured(folder)).toMatchObject({ files: 1, bytes: 2 })
  })

  test('on links, which are not followed, and on what is no file', () => {
    write(folder, { file: 'x', 'folder/inner': 'y' })
    symlinkSync('file', join(folder, 'link'))
    symlinkSync('nowhere', join(folder, 'dangling'))
    symlinkSync('folder', join(folder, 'folder-link'))
    symlinkSync('/etc', join(folder, 'out'))
    linkSync(join(folder, 'file'), join(folder, 'hard'))
    expect(spawnSync('mkfifo', [join(folder, 'pipe')]).status).toBe(0)
    expect(measured(folder)).toMatchObject({ files: 3, bytes: 3 })
    expect(measureFolder(folder)).toEqual(measured(folder))
  })

  test('on what is the file system’s or ours', () => {
    write(folder, { data: 'x' })
    const before = measured(folder)
    write(folder, { 'lost+found/#12': 'y', '.recover-copy': 'run', 'deep/.recover-copy': 'run' })
    expect(measured(folder)).toEqual(before)
    expect(measureFolder(folder)).toEqual(before)
    // Only the one at the top is the file system's.
    write(folder, { 'deep/lost+found/mine': 'z' })
    expect(measured(folder)).toMatchObject({ files: 2 })
    expect(measureFolder(folder)).toEqual(measured(folder))
  })

  test('on more files than one command line holds', () => {
    for (let i = 0; i < 2_500; i += 1) writeFileSync(join(folder, `${'long'.repeat(50)}-${i}`), `${i}`)
    expect(measured(folder)).toMatchObject({ files: 2_500 })
    expect(measureFolder(folder)).toEqual(measured(folder))
  })

  test('that one byte, one name or one place makes a difference', () => {
    write(folder, { 'a/file': 'content' })
    const seen = new Set([JSON.stringify(measured(folder))])
    write(folder, { 'a/file': 'Content' })
    seen.add(JSON.stringify(measured(folder)))
    rmSync(join(folder, 'a/file'))
    write(folder, { 'a/File': 'content' })
    seen.add(JSON.stringify(measured(folder)))
    rmSync(join(folder, 'a'), { recursive: true })
    write(folder, { 'b/file': 'content' })
    seen.add(JSON.stringify(measured(folder)))
    expect(seen.size).toBe(4)
  })

  const busybox = found('busybox')
  if (!busybox) process.stdout.write('skipped: the measuring program with busybox: it is not installed\n')
  test.skipIf(!busybox)('busybox measures the same, where nothing has to be escaped', () => {
    const applets = scratch('busybox')
    expect(spawnSync(busybox as string, ['--install', '-s', applets]).status).toBe(0)
    const plain = Object.entries(awkward).filter(([name]) => !/[\\\n\r]/.test(name))
    write(folder, Object.fromEntries(plain))
    expect(measured(folder, applets)).toEqual(measured(folder))
  })
})

/** What is at a place that a copy has to keep. */
function portrait(folder: string): Record<string, unknown> {
  return Object.fromEntries(
    (readdirSync(folder, { recursive: true }) as string[]).sort().map(name => {
      const path = join(folder, name)
      const stat = lstatSync(path)
      return [
        name,
        {
          mode: stat.mode.toString(8),
          owner: `${stat.uid}:${stat.gid}`,
          links: stat.isDirectory() ? 0 : stat.nlink,
          changed: stat.isDirectory() ? 0 : Math.floor(stat.mtimeMs),
          content: stat.isSymbolicLink()
            ? readlinkSync(path)
            : stat.isFile()
              ? readFileSync(path, 'hex')
              : 'neither',
        },
      ]
    }),
  )
}

const rsync = found('rsync')
if (!rsync) process.stdout.write('skipped: the copying program itself: rsync is not installed\n')

// The lab's stand-in is held to the same, so that a rehearsal shows what would happen.
const programs: [
  string,
  boolean,
  (from: string, to: string, id: string) => { code: number | null; message: string },
][] = [
  [
    'the copying program',
    rsync === undefined,
    (from, to, id) => run(copyProgram, { '/src': from, '/dst': to }, { RUN: id }),
  ],
  [
    'the lab’s stand-in for it',
    false,
    (from, to, id) => runProgram(copyProgram, { RUN: id }, { '/src': from, '/dst': to }),
  ],
]

describe.each(programs)('%s', (name, skipped, copy) => {
  let from: string
  let to: string
  beforeEach(() => {
    from = scratch('from')
    to = scratch('to')
    mkdirSync(join(from, 'lost+found'))
    mkdirSync(join(to, 'lost+found'))
  })
  const contentOf = (folder: string) => readdirSync(folder).filter(n => n !== 'lost+found')

  test.skipIf(skipped)('copies everything, and leaves no mark', () => {
    write(from, { ...awkward, 'lost+found/#1': 'of the old disk' })
    expect(copy(from, to, 'run-1')).toMatchObject({
      code: 0,
      message: expect.stringMatching(/^\{"files":\d+,"folders":/),
    })
    expect(measureFolder(to)).toEqual(measureFolder(from))
    expect(readdirSync(to)).not.toContain('.recover-copy')
    expect(readdirSync(join(to, 'lost+found'))).toEqual([])
  })

  test.skipIf(skipped)('leaves what a NAS keeps on a share for itself where it is', () => {
    const bin = scratch('bin')
    const stat = found('stat')
    // Every folder is one of NFS, or none is.
    writeFileSync(
      join(bin, 'stat'),
      `#!/bin/sh\n[ "$1" != -f ] || { echo nfs; exit; }\nexec ${stat} "$@"\n`,
      {
        mode: 0o755,
      },
    )
    const path = `${bin}${delimiter}${process.env.PATH}`
    write(from, { file: 'x', '#recycle/desktop.ini': 'of the source', '#recycle/deleted': 'y' })
    write(to, { '#recycle/desktop.ini': 'of the destination' })
    const both = { SRC: from, DST: to, RUN: 'run-1', PAUSE: '0' }
    expect(run(copyProgram, {}, both, path)).toMatchObject({
      code: 0,
      message: expect.stringContaining('"files":1,'),
    })
    expect(readFileSync(join(to, '#recycle/desktop.ini'), 'utf8')).toBe('of the destination')
    expect(readdirSync(to).sort()).toEqual(['#recycle', 'file', 'lost+found'])
    expect(measured(from, path)).toEqual(measured(to, path))
    expect(measured(from, path)).toMatchObject({ files: 1 })
    // On a disk of one's own it is a folder like any other.
    expect(measured(from)).toMatchObject({ files: 3 })
    expect(run(copyProgram, {}, both)).toMatchObject({ code: copyRefusals.destinationNotOurs })
  })

  test.skipIf(skipped)('refuses an empty source, and leaves the destination alone', () => {
    write(to, { precious: 'x' })
    expect(copy(from, to, 'run-1')).toMatchObject({
      code: copyRefusals.sourceEmpty,
      message: 'the source is empty',
    })
    expect(contentOf(to)).toEqual(['precious'])
  })

  test.skipIf(skipped).each([
    ['data', { precious: 'x' }],
    ['hidden data', { '.precious': 'x' }],
    ['another run’s unfinished copy', { precious: 'x', '.recover-copy': 'run-0' }],
    ['a run’s whose name begins like ours', { '.recover-copy': 'run-10' }],
  ])('refuses a destination that holds %s', (_, content) => {
    write(from, { data: 'y' })
    write(to, content)
    const before = portrait(to)
    expect(copy(from, to, 'run-1')).toMatchObject({
      code: copyRefusals.destinationNotOurs,
      message: 'the destination holds data that this run did not write',
    })
    expect(portrait(to)).toEqual(before)
  })

  test.skipIf(skipped)('goes on with its own unfinished copy; what the source has no more vanishes', () => {
    write(from, { one: '1', 'folder/two': '2' })
    write(to, { '.recover-copy': 'run-1', one: 'half', gone: 'x', 'folder/gone too': 'y' })
    // What attempts that were cut off kept of files, and of which rsync has no use any more.
    write(to, { '.recover-partial/gone': 'z', 'folder/.recover-partial/two': '2' })
    expect(copy(from, to, 'run-1')).toMatchObject({
      code: 0,
      message: expect.stringMatching(/^\{"files":\d+,"folders":/),
    })
    expect(measureFolder(to)).toEqual(measureFolder(from))
    expect((readdirSync(to, { recursive: true }) as string[]).sort()).toEqual(
      ['folder', 'folder/two', 'lost+found', 'one'].sort(),
    )
  })

  test.skipIf(skipped)(
    'recognises a finished copy whose verdict nobody saw, down to the time of its folder',
    () => {
      write(from, { one: '1' })
      spawnSync('touch', ['-d', '2001-02-03 04:05:06.789', from])
      const first = copy(from, to, 'run-1')
      expect(first).toMatchObject({ code: 0 })
      expect(statSync(to).mtimeMs).toBe(statSync(from).mtimeMs)
      expect(copy(from, to, 'run-1')).toEqual(first)
      // Killed between the end of its mark and that of its work.
      spawnSync('touch', [to])
      expect(copy(from, to, 'run-1')).toEqual(first)
      // As the CSI driver does with a share at each mount.
      chmodSync(to, 0o700)
      expect(copy(from, to, 'run-1')).toEqual(first)
    },
  )

  test.skipIf(skipped)('finds a difference that size and time hide', () => {
    write(from, { same: 'aaaa' })
    write(to, { '.recover-copy': 'run-1', same: 'bbbb' })
    spawnSync('touch', ['-r', join(from, 'same'), join(to, 'same')])
    const end = copy(from, to, 'run-1')
    // Either mended or refused; never called a copy.
    if (end.code === 0) expect(readFileSync(join(to, 'same'), 'utf8')).toBe('aaaa')
    else
      expect(end).toMatchObject({
        code: copyRefusals.differs,
        message: expect.stringContaining('the copy differs from its source'),
      })
  })

  test.skipIf(skipped)('keeps symbolic links as they are', () => {
    write(from, { file: 'x' })
    for (const target of ['file', 'nowhere', '/etc/hostname', '../outside'])
      symlinkSync(target, join(from, `to ${target.replaceAll('/', '_')}`))
    expect(copy(from, to, 'run-1').code).toBe(0)
    const links = (folder: string) =>
      Object.fromEntries(
        readdirSync(folder)
          .filter(n => lstatSync(join(folder, n)).isSymbolicLink())
          .map(n => [n, readlinkSync(join(folder, n))]),
      )
    expect(Object.keys(links(to))).toHaveLength(4)
    expect(links(to)).toEqual(links(from))
  })

  // The stand-in copies files and links; the rest is rsync's.
  if (name !== 'the copying program') return
  test.skipIf(skipped)('keeps hard links, modes, owners, times, holes and attributes', () => {
    write(from, { a: 'x', 'dir/script': '#!/bin/sh', secret: 's', setuid: 'u' })
    linkSync(join(from, 'a'), join(from, 'dir/hard'))
    chmodSync(join(from, 'dir/script'), 0o750)
    chmodSync(join(from, 'secret'), 0o400)
    chmodSync(join(from, 'setuid'), 0o4755)
    chmodSync(join(from, 'dir'), 0o2770)
    spawnSync('touch', ['-d', '2019-06-01T12:00:00Z', join(from, 'a')])
    if (process.getuid?.() === 0)
      spawnSync('chown', ['-h', '26:999', join(from, 'secret'), join(from, 'dir')])
    spawnSync('truncate', ['-s', '8M', join(from, 'sparse')])
    const attribute = setAttribute(join(from, 'secret'))
    const before = portrait(from)
    expect(copy(from, to, 'run-1')).toMatchObject({
      code: 0,
      message: expect.stringMatching(/^\{"files":\d+,"folders":/),
    })
    expect(portrait(to)).toEqual(before)
    expect(statSync(join(to, 'sparse')).blocks).toBeLessThan(64)
    if (attribute) expect(attributeOf(join(to, 'secret'))).toBe('kept')
    else
      process.stdout.write(
        'skipped: extended attributes: no setfattr or python3, or no file system for them\n',
      )
  })
})

function setAttribute(path: string): boolean {
  const script = "import os,sys; os.setxattr(sys.argv[1], 'user.recover', b'kept')"
  return (
    spawnSync('setfattr', ['-n', 'user.recover', '-v', 'kept', path]).status === 0 ||
    spawnSync('python3', ['-c', script, path]).status === 0
  )
}

function attributeOf(path: string): string {
  const script = "import os,sys; print(os.getxattr(sys.argv[1], 'user.recover').decode())"
  const shown = spawnSync('getfattr', ['--only-values', '-n', 'user.recover', path], { encoding: 'utf8' })
  if (shown.status === 0) return shown.stdout
  return spawnSync('python3', ['-c', script, path], { encoding: 'utf8' }).stdout.trim()
}

describe('the copying program, when things go wrong', () => {
  let from: string
  let to: string
  beforeEach(() => {
    from = scratch('from')
    to = scratch('to')
  })

  /** A folder with programs that stand before the real ones. */
  function standing(programs: Record<string, string>): string {
    const folder = scratch('path')
    for (const [name, script] of Object.entries(programs))
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return `${folder}${delimiter}${process.env.PATH}`
  }
  /** An rsync that fails so many times before it works; later ones say what it was called with. */
  const failing = (code: number, times: number, says: string) => {
    const tally = join(scratch('tally'), 'tally')
    return standing({
      rsync: `echo x >> ${tally}
case "$*" in *--dry-run*) ;; *) [ "$(wc -l < ${tally})" -gt ${times} ] || { echo '${says}' >&2; exit ${code}; } ;; esac
exec ${rsync} "$@"`,
    })
  }
  const copy = (path?: string) =>
    run(copyProgram, { '/src': from, '/dst': to }, { RUN: 'run-1', PAUSE: '0' }, path)

  test.skipIf(!rsync)('counts what the lab’s stand-in counts', () => {
    write(from, awkward)
    symlinkSync('nowhere', join(from, 'link'))
    expect(spawnSync('mkfifo', [join(from, 'a/pipe')]).status).toBe(0)
    const real = copy()
    const other = scratch('other')
    const standIn = runProgram(copyProgram, { RUN: 'run-1' }, { '/src': from, '/dst': other })
    expect(parseCopyVerdict(real.message)).toEqual({
      files: Object.keys(awkward).length,
      folders: 4,
      links: 1,
      specials: 1,
      bytes: expect.any(Number),
    })
    // The stand-in copies no pipes, and says so by its own count of the source.
    expect(parseCopyVerdict(standIn.message)).toEqual(parseCopyVerdict(real.message))
  })

  test.skipIf(!rsync).each([10, 11, 12, 30, 35])('tries again after exit %d of rsync', code => {
    write(from, { data: 'x' })
    expect(copy(failing(code, 2, 'rsync: connection unexpectedly closed'))).toMatchObject({ code: 0 })
    expect(readFileSync(join(to, 'data'), 'utf8')).toBe('x')
  })

  test.skipIf(!rsync)('gives up after four attempts, keeps what it has, and goes on later', () => {
    write(from, { data: 'x' })
    expect(copy(failing(12, 9, 'rsync: error in rsync protocol data stream'))).toMatchObject({
      code: copyRefusals.keepsFailing,
      message: 'rsync failed 4 times (exit 12): rsync: error in rsync protocol data stream',
    })
    expect(readFileSync(join(to, '.recover-copy'), 'utf8')).toBe('run-1')
    expect(copy()).toMatchObject({ code: 0 })
    expect(readdirSync(to)).toEqual(['data'])
  })

  test.skipIf(!rsync).each([23, 24])('takes exit %d of rsync for an error at once', code => {
    write(from, { data: 'x' })
    expect(copy(failing(code, 1, 'rsync: read errors mapping data: Input/output error (5)'))).toMatchObject({
      code: copyRefusals.incomplete,
      message: expect.stringContaining('Input/output error'),
    })
  })

  test.skipIf(!rsync)(
    'what a destination does not take is told, and left out only where that is said',
    () => {
      // In a mount namespace of its own, onto a file system that has neither ACLs nor attributes, as NFS has none.
      const copyToBare = (without: string) => {
        const log = join(scratch('log'), 'log')
        const script = Object.entries({ '/src': from, '/dst': to, '/dev/termination-log': log }).reduce(
          (text, [a, b]) => text.replaceAll(a, b),
          copyProgram,
        )
        const { status } = spawnSync(
          'unshare',
          [
            '--mount',
            '--map-root-user',
            'sh',
            '-c',
            `mount -t ramfs bare ${to} || exit 99\nsh -c "$PROGRAM"`,
          ],
          {
            env: {
              // It does not tell its room either.
              PATH: standing({ df: 'printf "header\\nbare 9 0 9999999 0%% /\\n"' }),
              RUN: 'run-1',
              PAUSE: '0',
              PROGRAM: script,
              ...(without ? { WITHOUT: without } : {}),
            },
          },
        )
        return { code: status, message: existsSync(log) ? readFileSync(log, 'utf8') : '' }
      }
      write(from, { plain: 'a', marked: 'b' })
      if (!setAttribute(join(from, 'marked')) || [null, 1, 99].includes(copyToBare('').code)) {
        process.stdout.write('skipped: a destination without attributes: no setfattr, or no mounts here\n')
        return
      }
      const refused = copyToBare('')
      expect(refused.code).toBe(copyRefusals.attributesRefused)
      expect(refused.message).toMatch(
        /does not take what files have beside their mode and owner: rsync: .*xattr/,
      )
      expect(copyToBare('acls').code).toBe(copyRefusals.attributesRefused)
      expect(parseCopyVerdict(copyToBare('attributes').message)).toMatchObject({ files: 2 })
      // Where nothing has any, nothing is asked.
      rmSync(join(from, 'marked'))
      expect(parseCopyVerdict(copyToBare('').message)).toMatchObject({ files: 1 })
    },
  )

  test.skipIf(!rsync)('a mark that cannot be removed is no end of a copy', () => {
    write(from, { data: 'x' })
    // As on a volume that the kernel has made read-only meanwhile.
    const path = standing({
      rm: `case $1 in *.recover-copy) echo "rm: $1: Read-only file system" >&2; exit 1 ;; esac; exec ${found('rm')} "$@"`,
    })
    expect(copy(path)).toMatchObject({
      code: copyRefusals.keepsFailing,
      message: expect.stringMatching(
        /^the mark \.recover-copy cannot be removed from the destination: rm: .*Read-only file system$/,
      ),
    })
    expect(copy()).toMatchObject({ code: 0 })
    expect(readdirSync(to)).toEqual(['data'])
  })

  test.skipIf(!rsync)('tells a disk that is full from a line that is torn', () => {
    write(from, { data: 'x' })
    expect(copy(failing(11, 9, 'rsync: write failed on data: No space left on device (28)'))).toMatchObject({
      code: copyRefusals.destinationFull,
    })
  })

  test('refuses a destination that is too small before it writes a byte', () => {
    writeFileSync(join(from, 'data'), Buffer.alloc(300_000, 1))
    const path = standing({ df: 'printf "Filesystem\\n/dev/sdb 100 0 100 0%% /dst\\n"' })
    expect(copy(path)).toMatchObject({
      code: copyRefusals.destinationTooSmall,
      message: expect.stringMatching(
        /^the destination is too small: the files take \d+ KiB, and it has room for \d+ KiB$/,
      ),
    })
    expect(readdirSync(to)).toEqual([])
  })

  test.skipIf(!rsync)('killed in the middle of a file, it goes on with what is there', async () => {
    writeFileSync(join(from, 'large'), Buffer.alloc(64 * 2 ** 20, 7))
    write(from, { small: 'x' })
    // Slow enough to be caught in the act.
    const path = standing({
      rsync: `case "$*" in *--dry-run*) exec ${rsync} "$@";; *) exec ${rsync} --bwlimit=2M "$@";; esac`,
    })
    const here = Object.entries({
      '/src': from,
      '/dst': to,
      '/dev/termination-log': join(scratch('log'), 'log'),
    }).reduce((text, [a, b]) => text.replaceAll(a, b), copyProgram)
    const child = spawn('sh', ['-c', here], {
      env: { PATH: path, RUN: 'run-1', PAUSE: '0' },
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await new Promise<void>(resolve => {
      let log = ''
      child.stdout.on('data', chunk => {
        log += chunk
        if ((parseCopyProgress(log)?.bytes ?? 0) > 0) resolve()
      })
    })
    process.kill(-child.pid!, 'SIGKILL')
    await new Promise(resolve => child.on('exit', resolve))
    expect(existsSync(join(to, 'large'))).toBe(false)
    expect(copy()).toMatchObject({ code: 0 })
    expect(measureFolder(to)).toEqual(measureFolder(from))
    expect(readdirSync(to).sort()).toEqual(['large', 'small'])
  })
})

describe('how far a copy is', () => {
  test('is read from the end of its log', () => {
    const log =
      'total 1048576\n      32,768   3%\r         524288  50%   12.00MB/s    0:00:02 (xfr#12, to-chk=8/21)\r'
    expect(parseCopyProgress(log)).toEqual({ bytes: 524_288, total: 1_048_576, files: 12, left: 8 })
    expect(parseCopyProgress('  300  30%  1.00kB/s 0:00:00 (xfr#1, ir-chk=8/9)')).toEqual({
      bytes: 300,
      total: 1000,
      files: 1,
      left: 8,
    })
    expect(parseCopyProgress('total 5\n')).toBeUndefined()
    expect(parseCopyProgress('')).toBeUndefined()
  })

  test('is told with the time that is left at the speed so far', () => {
    const told: unknown[] = []
    let at = 0
    const hear = hearingProgress((...seen) => told.push(seen), { now: () => at })
    hear(`total ${100 * 2 ** 20}\n 0   0% 0kB/s (xfr#0, to-chk=9/9)`)
    at = 10_000
    hear(`total ${100 * 2 ** 20}\n ${20 * 2 ** 20}  20% 2MB/s (xfr#3, to-chk=6/9)`)
    expect(told).toEqual([
      [0, 100, 'MiB, 0 files'],
      [20, 100, 'MiB, 3 files, about 40s left'],
    ])
  })
})
