import { once } from 'node:events'
import { createWriteStream, watch } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { execa } from 'execa'
import { Fault } from '../runbook/fault.ts'
import {
  type CommandResult,
  type OpenSsh,
  patientKeepAlive,
  type RunOptions,
  type SshAccess,
  type SshConnection,
} from './ssh-access.ts'
import { lineLost, silent } from './ssh-faults.ts'
import { hostKeyAlgorithms } from './ssh-host-key.ts'
import { seenHostKey, whyRefused } from './ssh-openssh-log.ts'
import { sessionsAtOnce, turnstile } from './turnstile.ts'

/** What a line that nobody uses stays open for; should this process die, it is how long the line outlives it. */
const persistSeconds = 120

/** A person may have to touch a hardware key before the login goes on. */
const touchMs = 30_000

/** Longest command line: one argument of a program may have 128 KiB on Linux. */
const longestCommand = 120_000

/**
 * The person's own `ssh`: ~/.ssh/config with jump hosts, certificates, agents and hardware keys as they are used to.
 * One master connection a line, in a private folder that also holds what may be trusted: the pins and nothing else.
 */
export async function connectOpenSsh(
  access: SshAccess,
  openssh: OpenSsh,
  signal?: AbortSignal,
): Promise<SshConnection> {
  signal?.throwIfAborted()
  // mkdtemp makes it 0700. A socket's path has room for 104 bytes at most.
  const folder = await mkdtemp(join(tmpdir().length > 60 ? '/tmp' : tmpdir(), 'recover-ssh-'))
  const forget = () => rm(folder, { recursive: true, force: true })
  try {
    const hostKey = await openMaster(access, openssh, folder, signal)
    return await connectionOn(access, folder, hostKey, forget)
  } catch (thrown) {
    await endMaster(access, folder)
    await forget()
    throw thrown
  }
}

/** Options by which everything that a person's config could turn against us is settled; the first value wins in ssh. */
function optionsFor(access: SshAccess, openssh: OpenSsh, folder: string): string[] {
  const { everyMs, times } = access.keepAlive ?? patientKeepAlive
  const values = {
    ControlMaster: 'yes',
    ControlPath: socketIn(folder),
    ControlPersist: persistSeconds,
    HostName: access.address,
    // Keys are kept under a name of their own: no line of another file can stand for this machine.
    HostKeyAlias: aliasOf(access),
    StrictHostKeyChecking: access.pins === 'first-use' ? 'accept-new' : 'yes',
    UserKnownHostsFile: join(folder, 'known_hosts'),
    GlobalKnownHostsFile: 'none',
    KnownHostsCommand: 'none',
    HostKeyAlgorithms: hostKeyAlgorithms(access.pins).join(','),
    HashKnownHosts: 'no',
    UpdateHostKeys: 'no',
    VerifyHostKeyDNS: 'no',
    CheckHostIP: 'no',
    // Nobody is asked anything: a passphrase belongs into the agent.
    BatchMode: 'yes',
    ConnectTimeout: Math.max(1, Math.ceil((access.connectTimeoutMs ?? 10_000) / 1_000)),
    ConnectionAttempts: 1,
    ServerAliveInterval: Math.max(1, Math.ceil(everyMs / 1_000)),
    ServerAliveCountMax: times,
    ForwardAgent: 'no',
    ForwardX11: 'no',
    ClearAllForwardings: 'yes',
    PermitLocalCommand: 'no',
    RemoteCommand: 'none',
    RequestTTY: 'no',
  }
  return [
    ...(openssh.config === undefined ? [] : ['-F', openssh.config]),
    ...(openssh.keyFile === undefined ? [] : ['-i', openssh.keyFile]),
    '-p',
    String(access.port),
    '-l',
    access.user,
    ...Object.entries(values).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
  ]
}

function socketIn(folder: string): string {
  return join(folder, 'm')
}

function aliasOf({ name }: SshAccess): string {
  return `recover-${name.replace(/[^\w.-]/g, '-')}`
}

/** Opens the connection that all commands share, and says which host key was shown. */
async function openMaster(
  access: SshAccess,
  openssh: OpenSsh,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const pins = access.pins === 'first-use' ? [] : access.pins
  const known = join(folder, 'known_hosts')
  const lines = pins.map(pin => `${aliasOf(access)} ${pin.split(' ').slice(0, 2).join(' ')}\n`)
  await writeFile(known, lines.join(''), { mode: 0o600 })
  const bound = (access.connectTimeoutMs ?? 10_000) + touchMs
  const ended = await ssh(
    [
      ...optionsFor(access, openssh, folder),
      // Tells which host key was shown, and leaves the log open for what becomes of the connection later.
      '-v',
      '-E',
      join(folder, 'log'),
      // The name, not the address, so that the person's `Host NAME` blocks fit; HostName above says where it is.
      '--',
      access.name,
      // Sent when the login is complete; the connection stays for the commands that follow.
      'true',
    ],
    // What a jump host's ssh says goes nowhere else. A pipe would be held open by the master.
    { folder, signal, timeoutMs: bound, output: 'file' },
  )
  if (ended.how === 'aborted') throw signal?.reason
  if (ended.how === 'program-missing') throw programMissing(ended.why)
  const log = await textOf(join(folder, 'log'))
  const said = await textOf(join(folder, 'stderr'))
  if (ended.how === 'too-long')
    throw silent(access, `it did not finish the SSH handshake and the login in ${bound} ms`)
  if (ended.how === 'input-broken') throw ended.why
  // Any other exit than 255 is what the machine made of `true`: it let us in.
  if (ended.code === 255) throw whyRefused(access, log, said)
  const hostKey = seenHostKey(pins, log, await textOf(known))
  if (hostKey === undefined) throw lineLost(access, new Error('ssh did not say which host key it saw'))
  return hostKey
}

async function connectionOn(
  access: SshAccess,
  folder: string,
  hostKey: string,
  forget: () => Promise<void>,
): Promise<SshConnection> {
  const enter = turnstile(sessionsAtOnce)
  let numbers = 0
  let down = false
  let toldClosed = () => {}
  const closed = new Promise<void>(resolve => {
    toldClosed = resolve
  })
  const end = () => {
    if (down) return
    down = true
    watcher.close()
    endMaster(access, folder).then(forget).then(toldClosed, toldClosed)
  }
  // The master removes its socket when its connection ends, and has written down why by then.
  const watcher = watch(folder, async () => {
    if (!down && !(await isThere(socketIn(folder)))) {
      down = true
      watcher.close()
      await whyLost()
      forget().then(toldClosed, toldClosed)
    }
  })
  watcher.unref()
  let logged: Promise<string> | undefined
  /** Kept from the first who asks: commands under way may come to their end after the log has gone with the folder. */
  const whyLost = async () => {
    logged ??= textOf(join(folder, 'log'))
    return /^Timeout, server .* not responding/m.test(await logged)
      ? silent(access, 'it no longer answers on its line')
      : lineLost(access, undefined)
  }
  const isAlive = () => checkMaster(access, folder)

  const run = async (command: string, options: RunOptions): Promise<CommandResult> => {
    if (down) throw await whyLost()
    if (command.length > longestCommand)
      throw new Error(`a command of ${command.length} characters is too long; hand its text in by stdin`)
    numbers += 1
    const log = join(folder, `command-${numbers}`)
    const bound = options.timeoutMs ?? 60_000
    const result = await ssh(
      [
        ...throughMaster(folder),
        // This level says whether an exit code of 255 is the command's own or of ssh.
        '-o',
        'LogLevel=DEBUG2',
        '-E',
        log,
        '-T',
        '--',
        access.name,
        command,
      ],
      { folder, signal: options.signal, timeoutMs: bound, output: 'memory', stdin: options.stdin ?? '' },
    )
    const told = await textOf(log)
    rm(log, { force: true }).catch(() => {})
    switch (result.how) {
      case 'aborted':
        throw options.signal?.reason
      case 'too-long':
        throw silent(access, `a command did not end within ${bound} ms`)
      case 'program-missing':
        throw programMissing(result.why)
      case 'input-broken':
        throw result.why
      case 'ended':
    }
    const own = result.code !== 255 || /Received exit status from master 255/.test(told)
    if (own || (await isAlive())) {
      if (!own && /session request failed|open failed|refused by peer/i.test(told))
        throw lineLost(access, new Error('it refused another session on its line'))
      return { code: result.code, stdout: result.stdout, stderr: result.stderr }
    }
    const why = await whyLost()
    end()
    throw why
  }
  return {
    hostKey,
    closed,
    run: (command, options = {}) => enter(() => run(command, options)),
    close: end,
  }
}

/** Options of a command that goes through the master, and never over a connection of its own. */
function throughMaster(folder: string): string[] {
  return ['-F', 'none', '-S', socketIn(folder), '-o', 'ControlMaster=no', '-o', 'ProxyCommand=false']
}

async function checkMaster(access: SshAccess, folder: string): Promise<boolean> {
  if (!(await isThere(socketIn(folder)))) return false
  const answer = await control(access, folder, 'check')
  return answer.how === 'ended' && answer.code === 0
}

/** Ends the master, if there is one: asked first, then by its process number, which it tells us itself. */
async function endMaster(access: SshAccess, folder: string): Promise<void> {
  if (!(await isThere(socketIn(folder)))) return
  const answer = await control(access, folder, 'check')
  const pid = answer.how === 'ended' ? Number(/pid=(\d+)/.exec(answer.stderr)?.[1] ?? 0) : 0
  await control(access, folder, 'exit')
  for (let i = 0; i < 20 && (await isThere(socketIn(folder))); i += 1)
    await new Promise(resolve => setTimeout(resolve, 50))
  if (pid > 1 && (await isThere(socketIn(folder)))) kill(pid)
}

function control(access: SshAccess, folder: string, order: 'check' | 'exit'): Promise<Ended> {
  return ssh([...throughMaster(folder), '-O', order, '--', access.name], {
    folder,
    timeoutMs: 5_000,
    output: 'memory',
    stdin: '',
  })
}

type Ended =
  | { how: 'ended'; code: number; stdout: string; stderr: string }
  | { how: 'aborted' }
  | { how: 'too-long' }
  | { how: 'program-missing'; why: unknown }
  | { how: 'input-broken'; why: unknown }

/** Runs `ssh` in a process group of its own: Ctrl-C at the terminal is ours to answer, and its children end with it. */
async function ssh(
  args: string[],
  options: {
    folder: string
    signal?: AbortSignal | undefined
    timeoutMs: number
    output: 'memory' | 'file'
    stdin?: RunOptions['stdin']
  },
): Promise<Ended> {
  let stopped: 'aborted' | 'too-long' | 'input-broken' | undefined
  let broken: unknown
  const file =
    options.output === 'file' ? createWriteStream(join(options.folder, 'stderr'), { mode: 0o600 }) : undefined
  if (file) await once(file, 'open')
  const child = execa('ssh', args, {
    detached: true,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: 1024 ** 3,
    env: {
      // Its words are read; and nothing is asked in a window, either.
      LC_ALL: 'C',
      SSH_ASKPASS_REQUIRE: 'never',
      ...Object.fromEntries(
        Object.keys(process.env)
          .filter(name => name.startsWith('RECOVER_SECRET_'))
          .map(name => [name, undefined]),
      ),
    },
    stdin: options.stdin === undefined ? 'ignore' : 'pipe',
    stdout: file === undefined ? 'pipe' : 'ignore',
    stderr: file ?? 'pipe',
  })
  let tellStopped = () => {}
  const stop = (how: typeof stopped) => {
    stopped ??= how
    if (child.pid !== undefined) kill(-child.pid)
    // The master may hold on to what we gave the command; that is not waited for.
    child.stdout?.destroy()
    child.stderr?.destroy()
    tellStopped()
  }
  const stopping = new Promise<undefined>(resolve => {
    tellStopped = () => resolve(undefined)
  })
  const timer = setTimeout(() => stop('too-long'), options.timeoutMs)
  const onAbort = () => stop('aborted')
  if (options.signal?.aborted) onAbort()
  options.signal?.addEventListener('abort', onAbort)
  if (child.stdin) {
    // A command that ends before it has read everything is no error of ours; its exit code tells.
    child.stdin.on('error', () => {})
    if (options.stdin instanceof Readable)
      options.stdin
        .once('error', (why: unknown) => {
          broken = why
          stop('input-broken')
        })
        .pipe(child.stdin)
    else child.stdin.end(options.stdin ?? '')
  }
  try {
    const result = await Promise.race([child, stopping])
    if (stopped === 'input-broken') return { how: stopped, why: broken }
    if (stopped !== undefined || result === undefined) return { how: stopped ?? 'aborted' }
    if (result.exitCode === undefined && result.code === 'ENOENT')
      return { how: 'program-missing', why: result.cause }
    return {
      how: 'ended',
      code: result.exitCode ?? 255,
      stdout: typeof result.stdout === 'string' ? result.stdout : '',
      stderr: typeof result.stderr === 'string' ? result.stderr : '',
    }
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', onAbort)
    file?.destroy()
  }
}

/** A number below zero means a whole process group. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It was quicker.
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

function programMissing(cause: unknown): Fault {
  return new Fault({
    code: 'ssh-program-missing',
    blame: 'operator',
    message: 'recover.yaml asks for the transport openssh, and there is no program ssh on this computer',
    remedy: 'Install the OpenSSH client, or take `ssh` out of recover.yaml to use the built-in one',
    cause,
  })
}
