import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { execa } from 'execa'
import { stringify } from 'yaml'
import { Fault } from '../runbook/fault.ts'
import { goYaml } from './go-yaml.ts'
import type { K0sctlRoute } from './k0sctl-document.ts'

/** The program k0sctl and a folder of its own: its log, its idea of home. */
export interface K0sctl {
  /** The program and what stands before its own arguments. */
  command: readonly string[]
  folder: string
  /** File of the host keys that it may trust, written anew each time; in its own folder by default. */
  knownHosts?: string
  /** Documents that stand in the configuration behind that of its hosts. */
  further?: readonly unknown[]
}

export interface K0sctlOptions {
  signal: AbortSignal
  onPhase(phase: string): void
  patience: Patience
}

/** How long k0sctl is borne; milliseconds. */
export interface Patience {
  /** Without a new line. */
  silence: number
  /** All in all. */
  whole: number
  /** Between asking it to end and ending it: it finishes its phase and cleans up, and hears no second signal. */
  orderly: number
}

/**
 * Commands carry no deadline in k0sctl and a host that vanishes silently hangs it for ever, --timeout or not. The longest
 * silence of one at work is an upload or a download of k0s over a slow line.
 * @param pace 1 in real life; a computer that is busy starts a program in seconds, however fast a rehearsal is
 */
export function patienceAt(pace: number): Patience {
  return {
    silence: Math.max(8_000, 8 * 60_000 * pace),
    whole: Math.max(24_000, 30 * 60_000 * pace),
    orderly: Math.max(2_000, 20_000 * pace),
  }
}

/** How a k0sctl came to its end. What the hosts are like afterwards, none of these tells. */
export type K0sctlEnd =
  | { state: 'ended'; exitCode: number; stdout: string; stderr: string }
  /** It was ended because it said nothing more, or went on for too long. */
  | { state: 'hung'; why: string; phase: string }
  | { state: 'killed'; signal: string; phase: string }

/**
 * Runs k0sctl once, in a process group of its own: a Ctrl-C at the terminal reaches it through us alone. Throws Fault
 * `k0sctl-missing`, and `k0sctl-trusts-stranger` when it has added a host key to those that it was given.
 */
export async function runK0sctl(
  k0sctl: K0sctl,
  [verb = '', ...flags]: readonly string[],
  document: Record<string, unknown>,
  routes: readonly K0sctlRoute[],
  { signal, onPhase, patience }: K0sctlOptions,
): Promise<K0sctlEnd> {
  signal.throwIfAborted()
  const { folder } = k0sctl
  // Its log lies there; it would let everybody look into it.
  mkdirSync(join(folder, 'cache', 'k0sctl'), { recursive: true, mode: 0o700 })
  const config = write(
    resolve(folder, 'k0sctl.yaml'),
    [document, ...(k0sctl.further ?? [])].map(d => stringify(d, goYaml)).join('---\n'),
  )
  const trusted = routes.map(r => r.knownHost).join('')
  const knownHosts = write(resolve(folder, k0sctl.knownHosts ?? 'known_hosts'), trusted)
  const pidFile = resolve(folder, 'pid')
  await endForsaken(pidFile, config)

  const [program = 'k0sctl', ...before] = k0sctl.command
  const child = execa(program, [...before, verb, '--config', config, ...flags], {
    env: environment(folder, knownHosts),
    detached: true,
    reject: false,
    stdin: 'ignore',
  })
  if (child.pid !== undefined) write(pidFile, String(child.pid))
  let phase = ''
  let ended: string | undefined
  const end = (why: string) => {
    ended ??= why
    if (child.pid === undefined) return
    endGroup(child.pid, 'SIGTERM')
    const force = setTimeout(() => endGroup(child.pid!, 'SIGKILL'), patience.orderly)
    void child.finally(() => clearTimeout(force))
  }
  const stop = () => end('it was told to stop')
  signal.addEventListener('abort', stop, { once: true })
  const watchdog = new Watchdog(patience, end)
  let tail = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    watchdog.heard()
    const lines = `${tail}${chunk}`.split('\n')
    tail = lines.pop() ?? ''
    for (const line of lines) {
      const begun = /==> Running phase: ([^"]+)/.exec(line)?.[1]
      if (begun === undefined) continue
      phase = begun
      onPhase(begun)
    }
  })
  const result = await child
  watchdog.over()
  signal.removeEventListener('abort', stop)
  if (signal.aborted) throw signal.reason
  if ((result as { code?: string }).code === 'ENOENT') throw missing(program)
  refuseStrangers(knownHosts, trusted)
  if (ended !== undefined) return { state: 'hung', why: ended, phase }
  if (result.exitCode === undefined) return { state: 'killed', signal: result.signal ?? 'a signal', phase }
  const { exitCode, stdout = '', stderr = '' } = result
  return { state: 'ended', exitCode, stdout, stderr }
}

/** What `k0sctl version` says, without its `v`. Throws Fault `k0sctl-missing` and `k0sctl-unusable`. */
export async function k0sctlVersion({ command }: K0sctl, signal: AbortSignal): Promise<string> {
  const [program = 'k0sctl', ...before] = command
  const result = await execa(program, [...before, 'version'], {
    // It asks the internet for news of itself otherwise.
    env: { DISABLE_UPGRADE_CHECK: 'true', DISABLE_TELEMETRY: 'true' },
    cancelSignal: signal,
    reject: false,
    stdin: 'ignore',
    timeout: 20_000,
    forceKillAfterDelay: 1_000,
  })
  if (signal.aborted) throw signal.reason
  if ((result as { code?: string }).code === 'ENOENT') throw missing(program)
  const version = /^version: v?(\S+)/m.exec(result.stdout ?? '')?.[1]
  if (result.exitCode === 0 && version !== undefined) return version
  throw new Fault({
    code: 'k0sctl-unusable',
    blame: 'operator',
    message: `${program} does not tell its version as k0sctl does (\`${program} version\` ended with ${result.exitCode ?? result.signal ?? 'a time-out'})`,
    remedy: 'Name the right program in recover.yaml (tools.k0sctl), for this computer’s processor',
  })
}

/** Ends a k0sctl that says nothing more, or that goes on for too long. */
class Watchdog {
  private readonly whole: NodeJS.Timeout
  private silence: NodeJS.Timeout | undefined
  private readonly patience: Patience
  private readonly end: (why: string) => void

  constructor(patience: Patience, end: (why: string) => void) {
    this.patience = patience
    this.end = end
    this.whole = setTimeout(() => end(`it was not through after ${spell(patience.whole)}`), patience.whole)
    this.heard()
  }

  heard(): void {
    clearTimeout(this.silence)
    const { silence } = this.patience
    this.silence = setTimeout(() => this.end(`it said nothing for ${spell(silence)}`), silence)
  }

  over(): void {
    clearTimeout(this.whole)
    clearTimeout(this.silence)
  }
}

function spell(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
}

function environment(folder: string, knownHosts: string): Record<string, string | undefined> {
  return {
    HOME: folder,
    XDG_CACHE_HOME: join(folder, 'cache'),
    SSH_KNOWN_HOSTS: knownHosts,
    DISABLE_TELEMETRY: 'true',
    DISABLE_UPGRADE_CHECK: 'true',
    // It has no use for the person's secrets.
    ...Object.fromEntries(
      Object.keys(process.env)
        .filter(name => name.startsWith('RECOVER_SECRET_'))
        .map(name => [name, undefined]),
    ),
  }
}

function write(path: string, text: string): string {
  writeFileSync(path, text, { mode: 0o600 })
  chmodSync(path, 0o600)
  return path
}

/** k0sctl trusts an unknown host silently and writes it down, in hashed form. */
function refuseStrangers(knownHosts: string, trusted: string): void {
  const now = readFileSync(knownHosts, 'utf8')
  if (now === trusted) return
  const more = now.split('\n').filter(line => line !== '' && !trusted.split('\n').includes(line)).length
  throw new Fault({
    code: 'k0sctl-trusts-stranger',
    blame: 'host',
    message: `k0sctl accepted ${more === 1 ? 'a host key' : `${more} host keys`} that this run gave to no machine, and may have installed k0s there (${knownHosts})`,
    remedy:
      'Find out which machine answered in the place of yours: compare the addresses in recover.yaml with `k0sctl.yaml` in the same folder. When only your machines answer, run `recover resume`',
  })
}

function missing(program: string): Fault {
  return new Fault({
    code: 'k0sctl-missing',
    blame: 'operator',
    message: `there is no program ${program}`,
    remedy: 'Install k0sctl (github.com/k0sproject/k0sctl) or name it in recover.yaml (tools.k0sctl)',
  })
}

/** With whatever it has started itself (ssh, for the transport openssh). */
function endGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // The group has ended by itself, or never was one.
    try {
      process.kill(pid, signal)
    } catch {}
  }
}

/**
 * Ends a k0sctl that a killed process of this run left behind: two at once work against each other on the same hosts,
 * and the later one fails (seen: "Init already exists").
 */
async function endForsaken(pidFile: string, config: string): Promise<void> {
  if (!existsSync(pidFile)) return
  const pid = Number(readFileSync(pidFile, 'utf8'))
  const isOurs = async () => {
    const { stdout } = await execa('ps', ['-o', 'command=', '-p', String(pid)], { reject: false })
    return Number.isInteger(pid) && pid > 1 && (stdout ?? '').includes(config)
  }
  for (const [signal, patienceMs] of [
    ['SIGTERM', 15_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!(await isOurs())) return
    endGroup(pid, signal)
    for (const end = performance.now() + patienceMs; performance.now() < end && (await isOurs()); )
      await new Promise(resolve => setTimeout(resolve, 50))
  }
}
