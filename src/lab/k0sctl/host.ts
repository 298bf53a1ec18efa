import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { connectSsh, type SshConnection } from '../../hosts/ssh.ts'
import { killsItsCaller } from '../seams.ts'
import { accepted, remember } from './known-hosts.ts'

/** A host of k0sctl.yaml, as far as the stand-in looks at it. */
export interface Host {
  role: string
  ssh: { address: string; port?: number; user?: string; keyPath?: string }
  privateAddress?: string
  hostname?: string
  noTaints?: boolean
  files?: { name?: string; src?: string; data?: string; dst?: string; dstDir?: string; perm?: string }[]
  hooks?: Partial<Record<'apply' | 'install', Partial<Record<'before' | 'after', string[]>>>>
}

/** The document of kind Cluster. */
export interface Cluster {
  metadata?: { name?: string }
  spec: { hosts: Host[]; k0s: { version?: string; config?: { spec?: { api?: { port?: number } } } } }
}

/** A whole k0sctl.yaml. */
export interface Config {
  cluster: Cluster
  /** What is applied at the end. */
  manifests: unknown[]
}

/** What failed on one host, or, without a host, everywhere. */
export class Failed extends Error {
  readonly host: Host | undefined
  constructor(message: string, host?: Host) {
    super(message)
    this.host = host
  }
}

// As long as a timer can be.
export const forever = 2 ** 31 - 1

/** A line of its log, as it prints it without a terminal. */
export function say(level: 'info' | 'warning' | 'error' | 'fatal', text: string): void {
  process.stdout.write(`level=${level} msg=${JSON.stringify(text)}\n`)
}

/** A line about one host. */
export function on(host: Host, text: string): void {
  say('info', `${where(host)}: ${text}`)
}

/**
 * Logs in as k0sctl does: with what known_hosts says, or trusting whoever answers. One that does not answer is tried again
 * (ten minutes long, every five seconds, by the real one); a wrong key ends it at once.
 */
export async function connect(host: Host, patienceMs: number): Promise<SshConnection> {
  const { address, port = 22, user = 'root', keyPath } = host.ssh
  const end = Date.now() + patienceMs
  for (let attempts = 1; ; attempts += 1)
    try {
      const pins = accepted(address, port)
      const privateKey = readFileSync(keyPath ?? '', 'utf8')
      const line = await connectSsh({ name: where(host), address, port, user, privateKey, pins })
      if (pins === 'first-use') remember(address, port, line.hostKey)
      return line
    } catch (error) {
      if ((error as { code?: string }).code === 'host-key-mismatch')
        throw new Failed(
          'retrying aborted\nclient connect: retry: abort condition reached after 1 attempts: operation cannot be completed: ssh: handshake failed: host key mismatch: knownhosts: key mismatch',
          host,
        )
      // No time makes it right, and it is worth more than what a real one would say.
      if ((error as { code?: string }).code === 'rehearsal-would-leave')
        throw new Failed((error as Error).message, host)
      if (Date.now() >= end)
        throw new Failed(
          `context deadline exceeded\nclient connect: retry: context done after ${attempts} attempts: context deadline exceeded: ssh dial: dial tcp ${where(host)}: connect: connection refused`,
          host,
        )
      await new Promise(resolve => setTimeout(resolve, Math.min(patienceMs / 20, end - Date.now())))
    }
}

/** Under a name of its own first, which only an orderly end takes away. */
export async function upload(
  line: SshConnection,
  host: Host,
  content: string | Buffer,
  to: string,
): Promise<void> {
  const folder = dirname(to)
  const path = (await must(line, host, sudo(`mktemp -- ${folder}/.upload-XXXXXX`))).trim()
  await must(line, host, sudo(`dd if=/dev/stdin of=${path} bs=60 seek=0 conv=notrunc`), content)
  await must(line, host, sudo(`chmod 0600 ${path}`))
  await must(line, host, sudo(`mv -f ${path} ${to}`))
  await must(line, host, sudo(`rm -f ${path}`))
}

/** A file of a random name, made by the user who logs in and written as root. */
export async function temporary(line: SshConnection, host: Host, content: string): Promise<string> {
  const path = (await must(line, host, 'mktemp -- /tmp/XXXXXX')).trim()
  await must(line, host, sudo(`install -D -m 0600 /dev/stdin ${path}`), content)
  return path
}

/** A fault of the lab strikes the program itself. */
export function killIfTold(stderr: string): void {
  if (stderr.trim() === killsItsCaller) process.kill(process.pid, 'SIGKILL')
}

/** A command that must succeed. */
export async function must(
  line: SshConnection,
  host: Host,
  command: string,
  stdin?: string | Buffer,
): Promise<string> {
  // Its commands carry no deadline.
  const result = await line.run(command, { timeoutMs: forever, ...(stdin === undefined ? {} : { stdin }) })
  killIfTold(result.stderr)
  if (result.code !== 0) throw new Failed(`command failed: ${result.stderr.trim()}`, host)
  return result.stdout
}

/** A command as root, as k0sctl asks for it. */
export function sudo(command: string): string {
  return `sudo -n -- "\${SHELL-sh}" -c '${command}'`
}

/** A host as it stands in the log. */
export function where(host: Host): string {
  return `${host.ssh.address}:${host.ssh.port ?? 22}`
}
