import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './commands.ts'
import { place } from './place.ts'

/**
 * Mounts a file system that lies in a file, for as long as something is done with it; afterwards the file holds all of it,
 * and nobody writes to it any more.
 */
export function mounted<T>(file: string, options: string, action: (at: string) => T): T {
  const at = mkdtempSync(join(place().folder, 'mounted-'))
  run('mount', '-o', `loop,${options}`, file, at)
  try {
    return action(at)
  } finally {
    // Who starts meanwhile with mounts of his own (a container, `unshare`) has a copy of this one, until he throws it away.
    run('sh', '-c', 'umount "$1" && until [ -z "$(losetup -j "$2")" ]; do :; done', '-', at, file)
  }
}

/** Of a whole file, in hexadecimal. */
export function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
