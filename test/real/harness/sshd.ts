import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { run, until } from './commands.ts'
import { place } from './place.ts'

/** A real sshd of the test's own on loopback, which lets in the user who runs the tests. */
export interface Sshd {
  port: number
  user: string
  /** `ssh-ed25519 AAAA…`. */
  hostKey(): string
  /** Its host key becomes another one, as after an installation. */
  rotateHostKey(): Promise<void>
  /** Stops every process of it in its tracks, or lets them go on. */
  freeze(state: 'frozen' | 'running'): void
  stop(): Promise<void>
  start(): Promise<void>
}

/** The port of the next one. The kernel gives away none of these: nobody takes it while a server is stopped. */
let next = 10_000 + threadId * 200

/**
 * Starts one.
 * @param options more lines of sshd_config; the first value wins, as in sshd
 */
export async function startSshd(authorizedKeys: string[], options: string[] = []): Promise<Sshd> {
  const folder = mkdtempSync(join(place().folder, 'sshd-'))
  // Where sshd locks its unprivileged part in.
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const port = next
  next += 1
  const key = join(folder, 'host_key')
  run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key)
  writeFileSync(join(folder, 'authorized_keys'), `${authorizedKeys.join('\n')}\n`)
  const config = join(folder, 'sshd_config')
  writeFileSync(
    config,
    [
      // Of this option the last value wins.
      'MaxStartups 100',
      ...options,
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${key}`,
      `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
      'PidFile none',
      'UsePAM no',
      'StrictModes no',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'UseDNS no',
      'LogLevel VERBOSE',
      // A bash that thinks that another one started it does not read the rc files of whoever runs the tests.
      'SetEnv SHLVL=5',
    ].join('\n'),
  )
  let server: ChildProcess | undefined
  const start = async () => {
    server = spawn('/usr/sbin/sshd', ['-D', '-f', config, '-E', join(folder, 'log')], { stdio: 'ignore' })
    await until('sshd', 180_000, () => listens(port), {
      dead: () =>
        server?.exitCode === null ? undefined : `it ended: ${readFileSync(join(folder, 'log'), 'utf8')}`,
    })
  }
  const stop = async () => {
    const running = server
    if (running === undefined) return
    server = undefined
    const gone = new Promise(resolve => running.once('close', resolve))
    for (const pid of familyOf(running)) signal(pid, 'SIGKILL')
    await gone
  }
  await start()
  return {
    port,
    user: userInfo().username,
    hostKey: () => readFileSync(`${key}.pub`, 'utf8').trim().split(' ').slice(0, 2).join(' '),
    async rotateHostKey() {
      await stop()
      run('rm', key)
      run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key)
      await start()
    },
    freeze(state) {
      for (const pid of server === undefined ? [] : familyOf(server))
        signal(pid, state === 'frozen' ? 'SIGSTOP' : 'SIGCONT')
    },
    stop,
    start,
  }
}

/** The listener and everything that came of it. */
function familyOf(server: ChildProcess): number[] {
  const all = run('ps', '-eo', 'pid=,ppid=')
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number))
  const found = [server.pid!]
  for (const parent of found) found.push(...all.filter(([, of]) => of === parent).map(([pid]) => pid!))
  return found
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended by itself.
  }
}

function listens(port: number): Promise<true | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 })
    const end = (found: true | undefined) => {
      socket.destroy()
      resolve(found)
    }
    socket.once('data', () => end(true))
    for (const event of ['error', 'timeout', 'close']) socket.once(event, () => end(undefined))
  })
}
