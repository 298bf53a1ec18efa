import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { measureFolder } from '../../../src/lab/nodes/job-programs.ts'
import { run, runWith } from './commands.ts'
import { mounted } from './mounted.ts'

/** A sparse file for a disk. */
export function blankDisk(file: string, mebibytes: number): void {
  writeFileSync(file, '')
  truncateSync(file, mebibytes * 2 ** 20)
}

/**
 * Makes a file system in a file, has it filled, and takes its blocks away while the last write is in its journal alone, as
 * a machine leaves it that loses its power.
 */
export function pullThePlug(
  file: string,
  { mebibytes, make, options }: { mebibytes: number; make: [string, ...string[]]; options: string },
  fill: (at: string) => void,
): void {
  blankDisk(file, mebibytes)
  run(...make, '-q', file)
  mounted(file, options, at => {
    fill(at)
    run('sync', '-f', at)
    runWith({ input: 'the last entry\n' }, 'dd', `of=${at}/written last`, 'conv=fsync', 'status=none')
    copyFileSync(file, `${file}.pulled`)
  })
  run('mv', `${file}.pulled`, file)
}

/** Puts onto a file system what copies tend to lose. */
export function fillOddly(at: string): void {
  mkdirSync(join(at, 'photos'))
  for (let i = 0; i < 50; i += 1)
    writeFileSync(join(at, 'photos', `${i}.jpg`), `picture ${i}\n`.repeat(i * 40))
  writeFileSync(join(at, 'a name with\na new line, “quotes” and \\ in it'), 'odd\n')
  run('ln', join(at, 'photos/1.jpg'), join(at, 'the same picture'))
  run('ln', '-s', 'photos/2.jpg', join(at, 'a link'))
  run('mkfifo', join(at, 'a pipe'))
  run('truncate', '-s', '20M', join(at, 'sparse'))
  run('setfattr', '-n', 'user.origin', '-v', 'camera', join(at, 'photos/3.jpg'))
  run('setfacl', '-m', 'u:1234:r', join(at, 'photos/4.jpg'))
  copyFileSync('/bin/true', join(at, 'capable'))
  run('setcap', 'cap_net_raw+ep', join(at, 'capable'))
  run('chown', '1000:2000', join(at, 'photos/5.jpg'))
}

/** Type, mode, owner, links, size and time of everything, and its extended attributes. */
const describeTree = `find . -mindepth 1 ! -path './lost+found*' ! -name .recover-copy \\( -type d -printf '%p %y %m %U:%G\\n' -o -printf '%p %y %m %U:%G %n %s %T@ %l\\n' \\)
getfattr -R -h -d -m - . 2>/dev/null | tr '\\n' ' ' | sed 's/# file: /\\n/g'`

/** All that is to come back of a file system: its entries with what a hash of contents does not see, and that hash. */
export function wholeTree(at: string) {
  return {
    entries: runWith({ cwd: at }, 'sh', '-c', describeTree).split('\n').sort(),
    content: measureFolder(at),
  }
}
