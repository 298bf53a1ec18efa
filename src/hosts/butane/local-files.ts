import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { joinPath } from './go-path.ts'

/** A local file that cannot be had, in the words of Butane. */
export class LocalFileFault extends Error {}

/** What `local:` means without a folder to look in. */
export const noFilesDir =
  'local file paths are relative to a files directory that must be specified with -d/--files-dir'

/** The files that a config takes in from beside it. */
export class LocalFiles {
  /** Every file that was read. */
  readonly read: string[] = []
  private readonly folder: string | undefined

  constructor(folder: string | undefined) {
    this.folder = folder === '' ? undefined : folder
  }

  get there(): boolean {
    return this.folder !== undefined
  }

  /**
   * The contents of a file below the folder.
   * @throws LocalFileFault
   */
  contents(path: string): Buffer {
    return this.contentsAt(this.place(path))
  }

  /**
   * The contents of a file that a walk found.
   * @throws LocalFileFault
   */
  contentsAt(place: string): Buffer {
    try {
      const contents = readFileSync(place)
      if (!this.read.includes(place)) this.read.push(place)
      return contents
    } catch (error) {
      throw new LocalFileFault(wordsOf(error, place, codeOf(error) === 'EISDIR' ? 'read' : 'open'))
    }
  }

  /**
   * The folder that is the root of a tree.
   * @throws LocalFileFault
   */
  treeRoot(path: string): string {
    const place = this.place(path)
    let stats: Stats
    try {
      stats = statSync(place)
    } catch (error) {
      throw new LocalFileFault(wordsOf(error, place, 'stat'))
    }
    if (!stats.isDirectory()) throw new LocalFileFault('root of tree must be a directory')
    return place
  }

  /** Where a path of the config is. It stays below the folder, links followed without a look. */
  private place(path: string): string {
    if (this.folder === undefined) throw new LocalFileFault(noFilesDir)
    const place = joinPath(this.folder, path)
    const top = resolve(this.folder)
    const full = resolve(place)
    if (full !== top && !full.startsWith(`${top}/`))
      throw new LocalFileFault('local file path traverses outside the files directory')
    return place
  }
}

/** One thing that a walk comes by; `fault` in the place of `stats` where it could not be looked at. */
export type Walked = { path: string; stats: Stats; fault?: never } | { path: string; fault: string }

/** Everything at and below a place, in byte order of names, folders before what is in them. */
export function* walk(place: string): Generator<Walked> {
  let stats: Stats
  try {
    stats = lstatSync(place)
  } catch (error) {
    yield { path: place, fault: wordsOf(error, place, 'lstat') }
    return
  }
  if (!stats.isDirectory()) {
    yield { path: place, stats }
    return
  }
  let names: Buffer[]
  try {
    names = readdirSync(place, { encoding: 'buffer' })
  } catch (error) {
    yield { path: place, fault: wordsOf(error, place, 'open') }
    return
  }
  yield { path: place, stats }
  for (const name of names.toSorted(Buffer.compare)) yield* walk(joinPath(place, name.toString()))
}

/**
 * Where a symbolic link points.
 * @throws LocalFileFault
 */
export function linkTarget(place: string): string {
  try {
    return readlinkSync(place)
  } catch (error) {
    throw new LocalFileFault(wordsOf(error, place, 'readlink'))
  }
}

const words: Record<string, string> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  EINVAL: 'invalid argument',
  ERR_INVALID_ARG_VALUE: 'invalid argument',
  EIO: 'input/output error',
  EMFILE: 'too many open files',
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

/** An error of the file system, in the words of Go. */
export function wordsOf(error: unknown, place: string, operation: string): string {
  return `${operation} ${place}: ${words[codeOf(error)] ?? codeOf(error).toLowerCase()}`
}
