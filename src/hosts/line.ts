import { Fault } from '../runbook/fault.ts'
import { connectSsh, type Probe, probing, type SshAccess, type SshConnection } from './ssh.ts'
import { isLost, otherHostKey, switchedOff, throttled } from './ssh-faults.ts'
import { accepts } from './ssh-host-key.ts'

/** How many new connections to one machine may be opened. */
export interface Gentleness {
  /** At once. */
  burst: number
  /** After these. */
  perMinute: number
}

/**
 * Firewalls that count (nftables: `limit rate 15/minute`, its burst is 5) must have room left for k0sctl and for the
 * person who looks what is going on.
 */
export const gentle: Gentleness = { burst: 4, perMinute: 10 }

export interface LinesOptions {
  gentleness?: Gentleness
  /** Scales every pause; 1 in real life. */
  pace?: number
  /** Whether a machine's BMC says that it is off; undefined where nobody can tell. Faults count as that. */
  off?: (name: string, signal: AbortSignal) => Promise<boolean | undefined>
  /** How long a machine has to take a connection before that is asked; two seconds. */
  promptMs?: number
}

/** The kept lines of one run: one connection a machine, shared by everything that has to do with it. */
export interface Lines {
  /**
   * Works on the machine's line, which is opened if there is none. A line to a machine with another host key than the
   * expected one is refused (Fault `host-key-mismatch`) as at connecting.
   * @param again whether `act` may be done once more when the line turns out dead: looking may, changing must not
   */
  use<T>(
    access: SshAccess,
    signal: AbortSignal,
    act: (ssh: SshConnection) => Promise<T>,
    again?: boolean,
  ): Promise<T>
  /** Tells what answers there now; a line that is kept is asked, not believed. */
  probe(access: SshAccess, signal: AbortSignal): Promise<Probe>
  /** Ends all lines, and comes back when nothing of them is left. */
  close(): Promise<void>
}

// A line on which something was said just now need not be asked whether it is there.
const freshMs = 2_000
// A machine that is there answers within a round trip; one that hangs must not hold everything up.
const pingMs = 5_000
/** A line that carries an image does not answer between two breaths. */
const loadedPingMs = 30_000
/** Pauses after a connection that was dropped before the handshake: the machine is there and wants to be left alone. */
const patienceMs = [4_000, 8_000]
/** What took long to find out is believed for half as long, but never longer than this. */
const believedMs = 5_000
/** Whoever asks at the same moment, or right afterwards, would only wait for the same silence. */
const sharedByAll = new Set([
  'host-unreachable',
  'host-silent',
  'ssh-refused',
  'ssh-throttled',
  'ssh-jump-failed',
])
/** So many connections in the last minute make it likely that silence is a firewall's and not death. */
const manyLately = 3

/** Lines to machines, opened when they are first used. */
export function keepLines({ pace = 1, ...options }: LinesOptions = {}): Lines {
  const lines = new Map<string, Line>()
  let over = false
  const lineTo = (access: SshAccess) => {
    if (over) throw new Error('the lines of this run are closed')
    const key = `${access.user}@${access.address}:${access.port}`
    let line = lines.get(key)
    if (line === undefined) {
      line = new Line({ ...options, pace })
      lines.set(key, line)
    }
    return line
  }
  return {
    async use(access, signal, act, again = false) {
      const line = lineTo(access)
      // What cannot be done twice is not begun on a line that may be dead.
      if (!again) line.doubt()
      for (let first = again; ; first = false) {
        const ssh = await line.take(access, signal)
        line.users += 1
        try {
          return await act({ ...ssh, close: () => line.leave() })
        } catch (thrown) {
          if (isLost(thrown)) line.doubt()
          if (!first || !isLost(thrown) || signal.aborted) throw thrown
        } finally {
          line.users -= 1
          line.heard()
        }
      }
    },
    probe: (access, signal) =>
      probing(access, signal, async () => {
        const line = lineTo(access)
        // What a probe says must be so now: a machine that died a second ago has not told us.
        line.doubt()
        return (await line.take({ ...access, pins: 'first-use' }, signal)).hostKey
      }),
    async close() {
      over = true
      await Promise.all([...lines.values()].map(line => line.close()))
    },
  }
}

const never = Number.NEGATIVE_INFINITY

/** One machine's connection, and when it may be opened again. */
class Line {
  /** How many work on it now. */
  users = 0
  private ssh: SshConnection | undefined
  /** Comes to the fault that opening ended in, or to nothing. */
  private opening: Promise<unknown> | undefined
  /** Nobody answered a moment ago. */
  private silence: { fault: Fault; until: number } | undefined
  private heardAt = never
  private opened: number[] = []
  private readonly ending = new Set<Promise<void>>()
  private tokens: number
  private filledAt = performance.now()
  private readonly gentleness: Gentleness
  private readonly pace: number
  private readonly off: LinesOptions['off']
  private readonly promptMs: number

  constructor({ gentleness = gentle, pace, off, promptMs = 2_000 }: LinesOptions & { pace: number }) {
    this.gentleness = gentleness
    this.pace = pace
    this.off = off
    // A machine that is there has answered by then, also when a packet was lost: its BMC is believed from there on.
    this.promptMs = promptMs
    this.tokens = gentleness.burst
  }

  /** The connection, alive a moment ago, to a machine with an accepted host key. */
  async take(access: SshAccess, signal: AbortSignal): Promise<SshConnection> {
    for (;;) {
      signal.throwIfAborted()
      if (this.opening !== undefined) {
        const failed = await unlessAborted(this.opening, signal)
        if (failed instanceof Fault && sharedByAll.has(failed.code)) throw failed
        continue
      }
      const kept = this.ssh
      if (kept === undefined) {
        if (this.silence && performance.now() < this.silence.until) throw this.silence.fault
        const opening = this.open(access, signal)
        this.opening = opening.catch(thrown => thrown)
        try {
          await opening
        } finally {
          this.opening = undefined
        }
        continue
      }
      if (performance.now() - this.heardAt > freshMs && !(await this.answers(kept, signal))) {
        this.drop(kept)
        continue
      }
      if (this.ssh !== kept) continue
      if (!accepts(access.pins, kept.hostKey)) throw otherHostKey(access, kept.hostKey)
      return kept
    }
  }

  heard(): void {
    if (this.heardAt > never) this.heardAt = performance.now()
  }

  /** The next who takes the line asks it first. */
  doubt(): void {
    this.heardAt = never
  }

  /** The machine is about to go: its silence afterwards is no firewall's. */
  leave(): void {
    this.opened = []
    this.silence = undefined
    if (this.ssh) this.drop(this.ssh)
  }

  async close(): Promise<void> {
    await this.opening
    if (this.ssh) this.drop(this.ssh)
    await Promise.all(this.ending)
  }

  private drop(ssh: SshConnection): void {
    if (this.ssh === ssh) this.ssh = undefined
    this.ending.add(ssh.closed)
    ssh.close()
  }

  /** A line that ended by itself is not there to be taken. */
  private async forgetOnce(ssh: SshConnection): Promise<void> {
    await ssh.closed
    this.ending.delete(ssh.closed)
    if (this.ssh === ssh) this.ssh = undefined
  }

  private async answers(ssh: SshConnection, signal: AbortSignal): Promise<boolean> {
    try {
      await ssh.run('true', { timeoutMs: this.users > 0 ? loadedPingMs : pingMs, signal })
      this.heardAt = performance.now()
      return true
    } catch (thrown) {
      if (signal.aborted) throw signal.reason
      if (isLost(thrown)) return false
      throw thrown
    }
  }

  private async open(access: SshAccess, signal: AbortSignal): Promise<void> {
    this.silence = undefined
    const began = performance.now()
    try {
      await this.openPatiently(access, signal)
    } catch (thrown) {
      const now = performance.now()
      if (thrown instanceof Fault && sharedByAll.has(thrown.code))
        this.silence = { fault: thrown, until: now + Math.min((now - began) / 2, believedMs * this.pace) }
      throw thrown
    }
  }

  private async openPatiently(access: SshAccess, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      await this.turn(signal)
      try {
        const ssh = await this.connectUnlessOff(access, signal)
        const now = performance.now()
        this.heardAt = now
        this.opened = [...this.opened.filter(at => now - at < 60_000 * this.pace), now]
        this.ssh = ssh
        void this.forgetOnce(ssh)
        return
      } catch (thrown) {
        const fault = this.understood(access, thrown)
        // What never reached its sshd costs it nothing.
        if (fault instanceof Fault && (fault.code === 'host-unreachable' || fault.code === 'host-off'))
          this.tokens += 1
        const pause = patienceMs[attempt]
        if (!(fault instanceof Fault && fault.code === 'ssh-throttled') || pause === undefined) throw fault
        await sleep(pause * this.pace, signal)
      }
    }
  }

  /** Connects; a machine whose BMC says that it is off is not waited for as one that may only be slow. */
  private async connectUnlessOff(access: SshAccess, signal: AbortSignal): Promise<SshConnection> {
    if (this.off === undefined) return connectSsh(access, signal)
    const enough = new AbortController()
    const both = AbortSignal.any([signal, enough.signal])
    let taken = false
    const connecting = connectSsh(
      {
        ...access,
        taken: () => {
          taken = true
        },
      },
      both,
    )
    const ask = async () => {
      await sleep(this.promptMs, both)
      // Whatever its BMC says, a machine that takes connections is on.
      if (!taken && (await this.off?.(access.name, both)) && !taken) enough.abort(switchedOff(access))
    }
    // What stands in the BMC's own way is told where the BMC is needed.
    ask().catch(() => {})
    try {
      return await connecting
    } finally {
      enough.abort()
    }
  }

  /** A firewall that limits new connections drops them in silence, as a dead machine would. */
  private understood(access: SshAccess, thrown: unknown): unknown {
    if (!(thrown instanceof Fault) || thrown.code !== 'host-unreachable') return thrown
    const lately = this.opened.filter(at => performance.now() - at < 60_000 * this.pace).length
    if (lately < manyLately) return thrown
    return throttled(
      access,
      thrown.cause,
      `answered ${lately} connections within the last minute and takes no more: a firewall may limit new ones`,
    )
  }

  /** Waits until another connection may be opened (token bucket). */
  private async turn(signal: AbortSignal): Promise<void> {
    const { burst, perMinute } = this.gentleness
    const everyMs = (60_000 / perMinute) * this.pace
    const now = performance.now()
    this.tokens = Math.min(burst, this.tokens + (now - this.filledAt) / everyMs)
    this.filledAt = now
    this.tokens -= 1
    if (this.tokens < 0) await sleep(-this.tokens * everyMs, signal)
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
