import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { Fault } from '../runbook/fault.ts'

/**
 * Reads a file that only its owner may open: mode 0600 or stricter, else Fault `secret-file-readable`. Answers
 * `undefined` when there is no such file. The mode is that of the file which is then read, also behind a symbolic link.
 */
export function readPrivateFile(file: string): string | undefined {
  let fd: number
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unreadable(file, error)
  }
  try {
    const status = fstatSync(fd)
    if (!status.isFile()) throw unreadable(file, 'it is not a regular file')
    const mode = status.mode & 0o7777
    if ((mode & ~0o600) !== 0)
      throw new Fault({
        code: 'secret-file-readable',
        blame: 'operator',
        message: `${file} holds secrets and has mode ${mode.toString(8).padStart(4, '0')}: others than its owner may open it`,
        remedy: `chmod 600 ${file}, and change the secrets in it if others use this machine`,
      })
    return readFileSync(fd, 'utf8')
  } catch (error) {
    if (error instanceof Fault) throw error
    throw unreadable(file, error)
  } finally {
    closeSync(fd)
  }
}

/** The Fault for a file that is there and cannot be read. */
export function unreadable(file: string, cause: unknown): Fault {
  return new Fault({
    code: 'secret-file-unreadable',
    blame: 'operator',
    message: `${file} cannot be read`,
    remedy: `Make ${file} a regular file that you can read`,
    cause,
  })
}
