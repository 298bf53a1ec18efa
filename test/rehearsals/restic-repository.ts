import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chooseSnapshot, resticSnapshots } from '../../src/volumes/restic.ts'
import { restoreProgram } from '../../src/volumes/restore-program.ts'

/** Where a program is on this computer; undefined where it is not. */
function found(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, program))
    .find(existsSync)
}

export const restic = found('restic')
export const busybox = found('busybox')

/** What {@link ResticPlace.data} has, as the program proves it. */
export const wholeVerdict = { files: 5, links: 1, bytes: 3_000_017 }

/** A folder of awkward files, and a real repository with two snapshots of it: of the host `home`, and as VolSync makes them. */
export class ResticPlace {
  readonly folder = mkdtempSync(join(tmpdir(), 'recover-restic-'))
  /** A folder may be called anything. */
  readonly data = join(this.folder, 'my [old] data, *')
  readonly opening = {
    RESTIC_REPOSITORY: join(this.folder, 'repository'),
    RESTIC_PASSWORD: 'a password of the test',
  }

  constructor() {
    const { data } = this
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
    const quiet = { env: { ...process.env, ...this.opening }, stdio: 'ignore' } as const
    execFileSync(restic, ['--no-cache', 'init'], quiet)
    execFileSync(restic, ['--no-cache', 'backup', data, '--host', 'home'], quiet)
    // As VolSync's mover does it.
    execFileSync(restic, ['--no-cache', 'backup', '.', '--host', 'volsync'], { ...quiet, cwd: data })
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A new folder to restore to. */
  root(): string {
    return mkdtempSync(join(this.folder, 'restore-'))
  }

  async snapshotOf(host: string): Promise<string> {
    const all = await resticSnapshots(this.opening, new AbortController().signal)
    return chooseSnapshot('a/b', { restic: 'r', path: '/', host }, all).id
  }

  /** A folder with the tools of restic's own image, which is made from Alpine: its sh and its tools are busybox's. */
  applets(): string {
    const applets = join(this.folder, 'applets')
    if (existsSync(applets)) return applets
    mkdirSync(applets)
    execFileSync(busybox!, ['--install', '-s', applets])
    symlinkSync(restic!, join(applets, 'restic'))
    return applets
  }

  /** Runs the Job's program as its container would, with a folder of ours in place of the mount. */
  restore(
    root: string,
    folder: string,
    id: string,
    environment: Record<string, string> = {},
  ): { code: number | null; message: string; mounted: string; log: string } {
    const mounted = join(root, folder)
    mkdirSync(mounted, { recursive: true })
    const verdict = join(this.folder, 'verdict')
    rmSync(verdict, { force: true })
    const { status, stdout } = spawnSync('sh', ['-c', restoreProgram], {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        ...this.opening,
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
}
