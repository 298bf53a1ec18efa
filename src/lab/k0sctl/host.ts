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
}

export interface Config {
  metadata?: { name?: string }
  spec: { hosts: Host[]; k0s: { version?: string; config?: { spec?: { api?: { port?: number } } } } }
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

/** Logs in as k0sctl does: with what known_hosts says, or trusting whoever answers. */
export async function connect(host: Host): Promise<SshConnection> {
  const { address, port = 22, user = 'root', keyPath } = host.ssh
  try {
    const pins = accepted(address, port)
    const privateKey = readFileSync(keyPath ?? '', 'utf8')
    const line = await connectSsh({ name: where(host), address, port, user, privateKey, pins })
    if (pins === 'first-use') remember(address, port, line.hostKey)
    return line
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    throw new Failed(
      code === 'host-key-mismatch'
        ? 'retrying aborted\nclient connect: retry: abort condition reached after 1 attempts: operation cannot be completed: ssh: handshake failed: host key mismatch: knownhosts: key mismatch'
        : `context deadline exceeded\nclient connect: ${message}`,
      host,
    )
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
  await must(line, host, sudo(`mv -f ${path} ${to}`))
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
