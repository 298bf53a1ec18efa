import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { type LockHolder, readLock } from '../runbook/lock.ts'

/** A lock that lies in the state folder, and whether its holder lives: `unknown` on another machine. */
export interface LockReport {
  /** Cluster that it keeps others from recovering; a rehearsal's ends in `.rehearsal`. */
  name: string
  path: string
  holder: LockHolder
  alive: 'yes' | 'no' | 'unknown'
}

/** Locks that cannot be read are left out: whoever wants to take one is told. */
export function readLocks(stateFolder: string): LockReport[] {
  const folder = join(stateFolder, 'locks')
  if (!existsSync(folder)) return []
  return (
    readdirSync(folder)
      .sort()
      // Files on their way to or from being a lock: NAME.PID.8 hex digits.
      .filter(name => !/\.\d+\.[0-9a-f]{8}$/.test(name))
      .flatMap(name => {
        const path = join(folder, name)
        const holder = holderAt(path)
        return holder ? [{ name, path, holder, alive: aliveness(holder) }] : []
      })
  )
}

function holderAt(path: string): LockHolder | undefined {
  try {
    return readLock(path)?.holder
  } catch {
    return undefined
  }
}

/** A process number alone is used again: the process must also have begun when the lock says, since the same boot. */
function aliveness(holder: LockHolder): LockReport['alive'] {
  if (holder.host !== hostname()) return 'unknown'
  if (process.platform !== 'linux') return answers(holder.pid) ? 'yes' : 'no'
  if (readFirst('/proc/sys/kernel/random/boot_id') !== holder.bootId) return 'no'
  const stat = readFirst(`/proc/${holder.pid}/stat`) ?? ''
  // The name of the program (field 2) may hold blanks and parentheses; what follows its last parenthesis is regular.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] !== 'Z' && fields[19] === holder.processStart ? 'yes' : 'no'
}

function answers(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function readFirst(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
