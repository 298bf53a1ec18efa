import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyProgram, copyRefusals, measureProgram } from '../../../volumes/programs.ts'

/** What a container left behind. */
export interface ProgramEnd {
  code: number
  message: string
}

const marker = '.recover-copy'

/**
 * Carries out the programs that recover's own Jobs run, on the real files of the emulated volumes. The lab has no
 * containers: any other command is refused, as an image that is not there would be.
 */
export function runProgram(
  script: string,
  environment: Record<string, string>,
  mounts: Record<string, string>,
): ProgramEnd {
  if (script === measureProgram) {
    const data = mounts['/data']
    return data === undefined
      ? { code: 2, message: "cd: can't cd to /data" }
      : { code: 0, message: JSON.stringify(measureFolder(data)) }
  }
  if (script === copyProgram) return copy(mounts['/src'] ?? '', mounts['/dst'] ?? '', environment.RUN ?? '')
  return { code: 127, message: 'the lab runs no programs but recover’s own' }
}

/** The same numbers and hash as the shell program's. */
export function measureFolder(folder: string): { files: number; bytes: number; sha256: string } {
  const sum = createHash('sha256')
  let bytes = 0
  const files = regularFiles(folder)
  for (const path of files) {
    const content = readFileSync(join(folder, path))
    bytes += content.length
    sum.update(`${createHash('sha256').update(content).digest('hex')}  ./${path}\n`)
  }
  return { files: files.length, bytes, sha256: sum.digest('hex') }
}

function copy(source: string, destination: string, run: string): ProgramEnd {
  const content = (folder: string) => readdirSync(folder).filter(n => n !== 'lost+found')
  if (content(source).length === 0) return { code: copyRefusals.sourceEmpty, message: 'the source is empty' }
  const mark = join(destination, marker)
  const ours = existsSync(mark) && readFileSync(mark, 'utf8') === run
  if (content(destination).length > 0 && !ours)
    return {
      code: copyRefusals.destinationNotOurs,
      message: 'the destination holds data that this run did not write',
    }
  writeFileSync(mark, run)
  for (const name of content(destination))
    if (name !== marker) rmSync(join(destination, name), { recursive: true })
  for (const name of content(source))
    cpSync(join(source, name), join(destination, name), { recursive: true, preserveTimestamps: true })
  rmSync(mark)
  return measureFolder(source).sha256 === measureFolder(destination).sha256
    ? { code: 0, message: 'copied' }
    : { code: copyRefusals.differs, message: 'the copy differs from its source' }
}

/** Relative paths of all regular files, sorted by their bytes. */
function regularFiles(folder: string): string[] {
  const found: string[] = []
  const walk = (relative: string) => {
    for (const entry of readdirSync(join(folder, relative))) {
      const path = relative === '' ? entry : `${relative}/${entry}`
      const stat = statSync(join(folder, path))
      if (stat.isDirectory()) {
        if (path !== 'lost+found') walk(path)
      } else if (stat.isFile() && entry !== marker) found.push(path)
    }
  }
  walk('')
  return found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}
