import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * In memory where that can be, unless the person names a place: hundreds of small worlds are made, and none of them is to
 * outlive the tests.
 */
function place(): string {
  if (process.env.TMPDIR) return process.env.TMPDIR
  try {
    accessSync('/dev/shm', constants.W_OK)
    return '/dev/shm'
  } catch {
    return tmpdir()
  }
}

/** Gives all temporary files of a suite, and of the programs that it starts, one folder, which goes when the suite ends. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(place(), 'recover-tests-'))
  process.env.TMPDIR = folder
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}
