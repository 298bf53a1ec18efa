import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { execa } from 'execa'
import { stringify } from 'yaml'
import { Fault } from '../runbook/fault.ts'

/** The program k0sctl and a folder of its own: its log, its idea of home. */
export interface K0sctl {
  /** The program and what stands before its own arguments. */
  command: readonly string[]
  folder: string
  /** File of the host keys that it may trust, written anew each time; in its own folder by default. */
  knownHosts?: string
}

/** How k0sctl reaches one host of the document. */
export interface K0sctlRoute {
  address: string
  port: number
  user: string
  /** File with a private key; absent when an ssh-agent holds it. */
  keyFile?: string
  /** That k0sctl goes through the person's own ssh, with their config and the name that its blocks know the host by. */
  openssh?: { name: string; config?: string; knownHosts: string }
  /** Lines for known_hosts, with the keys that this run gave the host. */
  knownHost: string
}

export interface K0sctlOptions {
  signal: AbortSignal
  onPhase(phase: string): void
  /** Scales how long silence is borne. */
  pace: number
}

// Commands carry no deadline in k0sctl and a host that vanishes silently hangs it for ever, --timeout or not.
const silenceMs = 11 * 60_000

/**
 * The document with its hosts where they really are, restricted to `only`. Everything else is the person's own text.
 * @param routes by position in the document's list of hosts
 */
export function routed(
  document: Record<string, unknown>,
  routes: K0sctlRoute[],
  only: (index: number) => boolean,
): Record<string, unknown> {
  const spec = document.spec as { hosts: Record<string, unknown>[] }
  return {
    ...document,
    spec: {
      ...spec,
      hosts: spec.hosts.flatMap((host, i): Record<string, unknown>[] => {
        const route = routes[i]
        if (!route || !only(i)) return []
        const { openSSH: _, localhost: __, ssh: ___, ...rest } = host
        const { address, port, user, keyFile, openssh } = route
        const key = keyFile === undefined ? {} : { keyPath: keyFile }
        if (openssh === undefined) return [{ ...rest, ssh: { address, port, user, ...key } }]
        const options = {
          HostName: address,
          // As the lines of known_hosts name it, whatever name ssh was called with.
          HostKeyAlias: port === 22 ? address : `[${address}]:${port}`,
          UserKnownHostsFile: openssh.knownHosts,
          GlobalKnownHostsFile: 'none',
          StrictHostKeyChecking: 'yes',
        }
        const config = openssh.config === undefined ? {} : { configPath: openssh.config }
        return [{ ...rest, openSSH: { address: openssh.name, port, user, ...key, ...config, options } }]
      }),
    },
  }
}

/** Runs `k0sctl apply --no-wait`: nodes cannot become Ready before there is a network. */
export async function applyK0sctl(
  k0sctl: K0sctl,
  document: Record<string, unknown>,
  routes: K0sctlRoute[],
  options: K0sctlOptions,
): Promise<void> {
  const first = await run(k0sctl, ['apply', '--no-wait'], document, routes, options)
  if (first.exitCode === 0) return
  // A kill between `k0s install` and the unit's start leaves this behind; --force installs over it and is right only here.
  const second = /has been installed as a service/.test(first.output)
    ? await run(k0sctl, ['apply', '--no-wait', '--force'], document, routes, options)
    : first
  if (second.exitCode === 0) return
  throw failed(second.output, k0sctl)
}

/** The admin kubeconfig, as text. Only the first controller has to be alive. */
export async function fetchKubeconfig(
  k0sctl: K0sctl,
  document: Record<string, unknown>,
  routes: K0sctlRoute[],
  options: K0sctlOptions,
): Promise<string> {
  const { exitCode, output } = await run(k0sctl, ['kubeconfig'], document, routes, options)
  if (exitCode === 0 && output.includes('clusters:')) return output
  throw failed(output, k0sctl)
}

async function run(
  k0sctl: K0sctl,
  args: string[],
  document: Record<string, unknown>,
  routes: K0sctlRoute[],
  { signal, onPhase, pace }: K0sctlOptions,
): Promise<{ exitCode: number; output: string }> {
  const { folder } = k0sctl
  const cache = join(folder, 'cache')
  // Its log lies there; it would let everybody look into it.
  mkdirSync(join(cache, 'k0sctl'), { recursive: true, mode: 0o700 })
  const write = (name: string, text: string) => {
    const path = resolve(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    chmodSync(path, 0o600)
    return path
  }
  const config = write('k0sctl.yaml', stringify(document))
  const knownHosts = write(k0sctl.knownHosts ?? 'known_hosts', routes.map(r => r.knownHost).join(''))
  await endForsaken(join(folder, 'pid'), config)
  const [program = 'k0sctl', ...before] = k0sctl.command
  const [verb = '', ...flags] = args
  const child = execa(program, [...before, verb, '--config', config, ...flags], {
    env: {
      HOME: folder,
      XDG_CACHE_HOME: cache,
      SSH_KNOWN_HOSTS: knownHosts,
      DISABLE_TELEMETRY: 'true',
      DISABLE_UPGRADE_CHECK: 'true',
      // It has no use for the person's secrets.
      ...Object.fromEntries(
        Object.keys(process.env)
          .filter(name => name.startsWith('RECOVER_SECRET_'))
          .map(name => [name, undefined]),
      ),
    },
    cancelSignal: signal,
    // The first signal is its Ctrl-C, after which it finishes its phase; a second one it no longer hears.
    forceKillAfterDelay: 20_000,
    reject: false,
    all: false,
    stdin: 'ignore',
  })
  if (child.pid !== undefined) write('pid', String(child.pid))
  let patience: NodeJS.Timeout | undefined
  const heard = () => {
    clearTimeout(patience)
    patience = setTimeout(() => child.kill('SIGKILL'), Math.max(60_000, silenceMs * Math.max(pace, 0.1)))
  }
  heard()
  let tail = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    heard()
    const lines = `${tail}${chunk}`.split('\n')
    tail = lines.pop() ?? ''
    for (const line of lines) {
      const phase = /==> Running phase: ([^"]+)/.exec(line)?.[1]
      if (phase) onPhase(phase)
    }
  })
  const result = await child
  clearTimeout(patience)
  if (signal.aborted) throw signal.reason
  if ((result as { code?: string }).code === 'ENOENT')
    throw new Fault({
      code: 'k0sctl-missing',
      blame: 'operator',
      message: `there is no program ${program}`,
      remedy: 'Install k0sctl (github.com/k0sproject/k0sctl) or name it in recover.yaml (tools.k0sctl)',
    })
  return {
    exitCode: result.exitCode ?? 1,
    output: `${result.stdout ?? ''}${verb === 'kubeconfig' && result.exitCode === 0 ? '' : `\n${result.stderr ?? ''}`}`,
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
  // Asked to stop it ends its phase in order; it hears that once, and SIGKILL always.
  for (const [signal, patienceMs] of [
    ['SIGTERM', 15_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!(await isOurs())) return
    try {
      process.kill(pid, signal)
    } catch {
      // It ended between the two looks.
      return
    }
    for (const end = performance.now() + patienceMs; performance.now() < end && (await isOurs()); )
      await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** k0sctl's own words, made short: the reasons after `failed on N hosts`. */
function failed(output: string, { folder }: K0sctl): Fault {
  const fatal = /level=fatal msg="(.*)"\s*$/m.exec(output)?.[1] ?? output.trim().split('\n').at(-1) ?? ''
  const reason = fatal.replaceAll(/\\n\s*/g, ' ').replace(/^apply failed - log file saved to \S+: /, '')
  return new Fault({
    code: 'k0sctl-failed',
    blame: 'host',
    message: `k0sctl: ${reason.trim()}`,
    remedy: `Its whole log is ${join(folder, 'cache', 'k0sctl', 'k0sctl.log')}; mend what it names, then run \`recover resume\``,
    transient: /connection|timeout|deadline|without exit status|not ready|Job for \S+ failed/i.test(reason),
  })
}
