import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { Fault } from './fault.ts'
import { pause, Stopped } from './time.ts'

/** Who holds a lock: enough for a person to find them, and for us to know that they are dead. */
export interface LockHolder {
  user: string
  host: string
  pid: number
  /** Start of the process in clock ticks since boot; with `bootId` it tells a process from a later one with its number. */
  processStart: string
  bootId: string
  run: string
  doing: string
  since: string
}

export interface HeldLock {
  readonly path: string
  /** Gives the lock back; does nothing when it is no longer ours. */
  release(): void
}

export interface LockOptions {
  run: string
  doing: string
  /** How long to wait for another holder; 0 gives up at once. */
  timeoutMs: number
  stop: AbortSignal
  /** Told when the lock of a dead process is taken over, or when we begin to wait. */
  notice: (text: string) => void
}

/**
 * Takes the lock or throws Fault `locked` naming the holder. The lock of a dead process on this machine is taken over
 * with a notice; one of another machine never is, since nothing here can tell whether its holder lives.
 */
export async function takeLock(path: string, options: LockOptions): Promise<HeldLock> {
  const me = holder(options.run, options.doing)
  const text = JSON.stringify(me)
  writable(path, () => mkdirSync(dirname(path), { recursive: true, mode: 0o700 }))
  const end = performance.now() + options.timeoutMs
  for (let told = false; ; ) {
    if (writable(path, () => place(path, text))) return { path, release: () => giveBack(path, text) }
    const found = readLock(path)
    if (found && isDead(found.holder)) {
      if (takeOver(path, found.text)) {
        options.notice(
          `Took over the lock of run ${found.holder.run}: its process ${found.holder.pid} on ${found.holder.host} is no more`,
        )
      }
      continue
    }
    if (!found) continue
    if (performance.now() >= end) throw lockedBy(path, found.holder)
    if (!told) options.notice(`Waiting for the lock that ${describe(found.holder)} holds`)
    told = true
    try {
      await pause(Math.min(250, Math.max(1, end - performance.now())), [options.stop])
    } catch (thrown) {
      if (thrown instanceof Stopped) throw lockedBy(path, found.holder)
      throw thrown
    }
  }
}

/** Does something to the lock's folder. A disk that is full, read-only or somebody else's stops the run before it begins. */
function writable<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof Fault) throw cause
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    throw new Fault({
      code: 'state-unwritable',
      blame: 'operator',
      message: `cannot write the lock ${path} (${code}); nothing was changed`,
      remedy: 'Make its folder writable and free some space, or set XDG_STATE_HOME to a folder that is',
      cause,
    })
  }
}

/** Breaks a lock whoever holds it, and says whose it was. Undefined when there was none. */
export function breakLock(path: string): LockHolder | undefined {
  const found = readLock(path)
  if (!found) return undefined
  takeOver(path, found.text)
  return found.holder
}

/** Who holds a lock, with the text that says so; undefined where nobody does. Throws Fault for a file that is no lock. */
export function readLock(path: string): { holder: LockHolder; text: string } | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return { holder: JSON.parse(text) as LockHolder, text }
  } catch (cause) {
    throw new Fault({
      code: 'lock-unreadable',
      blame: 'operator',
      message: `the lock file ${path} is not one of ours`,
      remedy: 'Look at it; if no recovery is running anywhere, delete it',
      cause,
    })
  }
}

/** In words: who, where, since when, doing what. */
export function describe(holder: LockHolder): string {
  return `${holder.user}@${holder.host} (process ${holder.pid}) for run ${holder.run}, "${holder.doing}", since ${holder.since}`
}

function holder(run: string, doing: string): LockHolder {
  return {
    user: userInfo().username,
    host: hostname(),
    pid: process.pid,
    processStart: processStart(process.pid) ?? '',
    bootId: bootId(),
    run,
    doing,
    since: new Date().toISOString(),
  }
}

/** Dead for sure: on this machine, and either from before its last boot or with no such process any more. */
function isDead(other: LockHolder): boolean {
  if (other.host !== hostname()) return false
  if (other.bootId !== bootId()) return true
  return processStart(other.pid) !== other.processStart
}

/** A link appears whole or not at all, so a lock file is never seen empty. */
function place(path: string, text: string): boolean {
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(own, text, { mode: 0o600 })
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(own)
  }
}

/** Moves a lock aside, and puts it back when it turns out to be another than the one that was looked at. */
function takeOver(path: string, expected: string): boolean {
  const aside = `${path}.dead.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  const was = readFileSync(aside, 'utf8') === expected
  if (!was)
    try {
      linkSync(aside, path)
    } catch {
      // Somebody placed theirs meanwhile; both cannot hold, and the one in place wins.
    }
  unlinkSync(aside)
  return was
}

function giveBack(path: string, text: string): void {
  const found = readLock(path)
  if (found?.text === text) takeOver(path, text)
}

function lockedBy(path: string, other: LockHolder): Fault {
  return new Fault({
    code: 'locked',
    blame: 'operator',
    message: `${describe(other)} holds the lock ${path}`,
    remedy:
      'Wait for it (--lock-timeout 10m), or ask them. Only when you are sure that nobody recovers this cluster: `recover force-unlock`',
  })
}

function bootId(): string {
  return readFirst('/proc/sys/kernel/random/boot_id') ?? ''
}

/** Field 22 of /proc/PID/stat; undefined when there is no such process or it is a zombie. */
function processStart(pid: number): string | undefined {
  const stat = readFirst(`/proc/${pid}/stat`)
  if (stat === undefined) {
    if (process.platform === 'linux') return undefined
    try {
      process.kill(pid, 0)
      return ''
    } catch {
      return undefined
    }
  }
  // The command name (field 2) may hold blanks and parentheses; what follows its last parenthesis is regular.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? undefined : fields[19]
}

function readFirst(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
