import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { networkProbe, probeRefusals } from '../../kubernetes/network-probe.ts'
import {
  type CopyVerdict,
  copyProgram,
  copyRefusals,
  measureProgram,
  nasOwn,
} from '../../volumes/programs.ts'
import { restoreProgram, restoreRefusals, restoreRoot } from '../../volumes/restore-program.ts'
import type { ProgramEnd } from './nodes.ts'

/** Whether there is no data on a disk. */
export function isEmpty(folder: string): boolean {
  return readdirSync(folder).every(name => noData.includes(name))
}

/** What a program finds around it. */
export interface Surroundings {
  /** Names of the cluster's Services are known. */
  dnsIsUp?: boolean
  /** Snapshots of a backup repository, by id: path to text of every file. */
  backups?: Record<string, Record<string, string>>
  /** The file system of the disk that is mounted at /data. */
  fsType?: string | undefined
  /** What breaks a copy off when half of it is there; asked once in each. */
  halfWay?: () => ProgramEnd | undefined
}

const marker = '.recover-copy'

/** What at the root of a disk is no data: the file system's own and, since the lab has them on shares alone, the NAS's. */
const noData: readonly string[] = ['lost+found', ...nasOwn]

/**
 * Carries out the programs that recover's own Jobs run, on the real files of the emulated volumes. The lab has no
 * containers: any other command is refused, as an image that is not there would be.
 */
export function runProgram(
  script: string,
  environment: Record<string, string>,
  mounts: Record<string, string>,
  { dnsIsUp = true, backups = {}, fsType, halfWay = () => undefined }: Surroundings = {},
): ProgramEnd {
  if (script === measureProgram) {
    const data = mounts['/data']
    return data === undefined
      ? { code: 2, message: "cd: can't cd to /data" }
      : { code: 0, message: JSON.stringify({ ...measureFolder(data), fsType }) }
  }
  if (script === networkProbe)
    return dnsIsUp
      ? { code: 0, message: `${environment.NAME} is 10.96.0.1, and answers at port ${environment.PORT}` }
      : { code: probeRefusals.nameUnknown, message: `the cluster's DNS does not know ${environment.NAME}` }
  if (script === copyProgram)
    return copy(mounts['/src'] ?? '', mounts['/dst'] ?? '', environment.RUN ?? '', halfWay)
  if (script === restoreProgram) return restore(environment, mounts, backups)
  return { code: 127, message: 'the lab runs no programs but recover’s own' }
}

/** The same numbers and hash as the shell program's with GNU coreutils. */
export function measureFolder(folder: string): { files: number; bytes: number; sha256: string } {
  const sum = createHash('sha256')
  let bytes = 0
  const files = regularFiles(Buffer.from(folder))
  for (const path of files) {
    const content = readFileSync(within(Buffer.from(folder), path))
    bytes += content.length
    const hash = createHash('sha256').update(content).digest('hex')
    // sha256sum puts a backslash before a line whose file name it had to escape.
    const shown = escaped(path)
    sum.update(`${shown === path ? '' : '\\'}${hash}  ./${shown}\n`, 'latin1')
  }
  return { files: files.length, bytes, sha256: sum.digest('hex') }
}

function escaped(path: string): string {
  return path.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}

/** The lab's repository has one snapshot for each disk, and gives it to whoever knows a password. */
function restore(
  { SNAPSHOT = '', FOLDER = '', RUN = '', RESTIC_PASSWORD = '' }: Record<string, string>,
  mounts: Record<string, string>,
  backups: Record<string, Record<string, string>>,
): ProgramEnd {
  const files = RESTIC_PASSWORD === '' ? undefined : backups[SNAPSHOT]
  const folder = mounts[`${restoreRoot}${FOLDER}`]
  if (!files || folder === undefined)
    return { code: restoreRefusals.repositoryRefuses, message: 'Fatal: wrong password or no key found' }
  const mark = join(folder, '.recover-restore')
  const content = readdirSync(folder).filter(n => !noData.includes(n))
  const bytes = Object.values(files).reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const restored = {
    code: 0,
    message: JSON.stringify({ files: Object.keys(files).length, links: 0, bytes }),
  }
  if (content.length > 0 && !existsSync(mark) && holds(folder, files)) return restored
  if (content.length > 0 && !(existsSync(mark) && readFileSync(mark, 'utf8') === RUN))
    return {
      code: restoreRefusals.destinationNotOurs,
      message: 'the volume holds data that this run did not write',
    }
  writeFileSync(mark, RUN)
  for (const name of content) if (name !== '.recover-restore') rmSync(join(folder, name), { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  rmSync(mark)
  return restored
}

/** Whether a folder has exactly these files. */
function holds(folder: string, files: Record<string, string>): boolean {
  const names = regularFiles(Buffer.from(folder)).map(name => Buffer.from(name, 'latin1').toString())
  return (
    names.length === Object.keys(files).length &&
    names.every(name => files[name] !== undefined && readFileSync(join(folder, name), 'utf8') === files[name])
  )
}

function copy(
  source: string,
  destination: string,
  run: string,
  halfWay: () => ProgramEnd | undefined,
): ProgramEnd {
  const content = (folder: string) => readdirSync(folder).filter(n => !noData.includes(n))
  if (content(source).length === 0) return { code: copyRefusals.sourceEmpty, message: 'the source is empty' }
  const mark = join(destination, marker)
  const ours = existsSync(mark) && readFileSync(mark, 'utf8') === run
  const same = () => measureFolder(source).sha256 === measureFolder(destination).sha256
  const copied = () => ({ code: 0, message: JSON.stringify(countsOf(source)) })
  if (content(destination).length > 0 && !ours && same()) return copied()
  if (content(destination).length > 0 && !ours)
    return {
      code: copyRefusals.destinationNotOurs,
      message: 'the destination holds data that this run did not write',
    }
  writeFileSync(mark, run)
  for (const name of content(destination))
    if (name !== marker) rmSync(join(destination, name), { recursive: true })
  const broken = halfWay()
  if (broken) {
    tear(source, destination)
    return broken
  }
  for (const name of content(source)) copyTree(join(source, name), join(destination, name))
  rmSync(mark)
  const { atime, mtime } = lstatSync(source)
  utimesSync(destination, atime, mtime)
  return same() ? copied() : { code: copyRefusals.differs, message: 'the copy differs from its source' }
}

/** What a copy that was broken off leaves: half of the files, and the next one up to its middle. */
function tear(source: string, destination: string): void {
  const files = regularFiles(Buffer.from(source))
  const whole = Math.floor(files.length / 2)
  for (const [i, name] of files.slice(0, whole + 1).entries()) {
    const bytes = readFileSync(within(Buffer.from(source), name))
    const to = within(Buffer.from(destination), name)
    mkdirSync(to.subarray(0, to.lastIndexOf('/')), { recursive: true })
    writeFileSync(to, i < whole ? bytes : bytes.subarray(0, bytes.length / 2))
  }
}

/** What rsync counts of a tree, without what is the file system's own. */
function countsOf(folder: string): CopyVerdict {
  const counts: CopyVerdict = { files: 0, folders: 1, links: 0, specials: 0, bytes: 0 }
  const walk = (path: Buffer, top: boolean) => {
    for (const name of readdirSync(path, { encoding: 'buffer' })) {
      const entry = name.toString('latin1')
      if (top && (noData.includes(entry) || entry === marker)) continue
      const inner = within(path, entry)
      const stat = lstatSync(inner)
      if (stat.isDirectory()) {
        counts.folders += 1
        walk(inner, false)
      } else if (stat.isFile()) counts.files += 1
      else if (stat.isSymbolicLink()) counts.links += 1
      else counts.specials += 1
      if (stat.isFile() || stat.isSymbolicLink()) counts.bytes += stat.size
    }
  }
  walk(Buffer.from(folder), true)
  return counts
}

/** Copies files, folders and links as they are. Node 24's own cpSync stumbles over links that lead nowhere. */
function copyTree(from: string, to: string): void {
  const stat = lstatSync(from)
  if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from), to)
  else if (stat.isDirectory()) {
    mkdirSync(to, { mode: stat.mode })
    for (const name of readdirSync(from)) copyTree(join(from, name), join(to, name))
    utimesSync(to, stat.atime, stat.mtime)
  } else if (stat.isFile()) {
    // Opening a pipe would wait for whoever writes to it.
    copyFileSync(from, to)
    utimesSync(to, stat.atime, stat.mtime)
  }
}

/** A path below a folder; names are bytes to a file system, and are kept as such in latin1 strings. */
function within(folder: Buffer, path: string): Buffer {
  return path === '' ? folder : Buffer.concat([folder, Buffer.from(`/${path}`, 'latin1')])
}

/** Relative paths of all regular files, sorted by their bytes. Links are not followed. */
function regularFiles(folder: Buffer): string[] {
  const found: string[] = []
  const walk = (relative: string) => {
    for (const name of readdirSync(within(folder, relative), { encoding: 'buffer' })) {
      const entry = name.toString('latin1')
      const path = relative === '' ? entry : `${relative}/${entry}`
      const stat = lstatSync(within(folder, path))
      if (stat.isDirectory()) {
        if (!noData.includes(path)) walk(path)
      } else if (stat.isFile() && entry !== marker) found.push(path)
    }
  }
  walk('')
  return found.sort((a, b) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')))
}
