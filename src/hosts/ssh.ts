import { createHash } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import ssh2, { type Client, type ConnectConfig } from 'ssh2'
import { Fault } from '../runbook/fault.ts'
import { fingerprintOf } from './keys.ts'

/** How to reach one machine. */
export interface SshAccess {
  name: string
  address: string
  port: number
  user: string
  /** A private key's text, or an ssh-agent's socket. */
  privateKey?: string
  agent?: string
  /** Public host keys that are accepted (`ssh-ed25519 AAAA…`); `first-use` accepts any and says which it saw. */
  pins: string[] | 'first-use'
  connectTimeoutMs?: number
}

export interface CommandResult {
  code: number
  stdout: string
  stderr: string
}

/** One connection to one machine. */
export interface SshConnection {
  /** Public host key that the machine showed: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string
  run(
    command: string,
    options?: { stdin?: string | Buffer; signal?: AbortSignal; timeoutMs?: number },
  ): Promise<CommandResult>
  close(): void
}

/** Why {@link probeSsh} got no further. */
export type Probe =
  | { state: 'answers'; hostKey: string }
  | { state: 'other-key'; hostKey: string; fingerprint: string }
  | { state: 'refused-login' }
  | { state: 'throttled' }
  | { state: 'unreachable'; why: string }

// ssh2 opens any number, but an sshd refuses from 10 on, and closing ones still count.
const channelsAtOnce = 4

/** Connects, never without comparing the host key. Throws Fault; see {@link Probe} for the kinds. */
export function connectSsh(access: SshAccess, signal?: AbortSignal): Promise<SshConnection> {
  return new Promise((resolve, reject) => {
    const client: Client = new ssh2.Client()
    let seen = ''
    let mismatch: Fault | undefined
    let settled = false
    const where = `${access.name} (${access.address}:${access.port})`
    const fail = (fault: unknown) => {
      if (settled) return
      settled = true
      signal?.removeEventListener('abort', onAbort)
      client.destroy()
      reject(fault)
    }
    const onAbort = () => fail(signal?.reason)
    if (signal?.aborted) return fail(signal.reason)
    signal?.addEventListener('abort', onAbort)

    client.on('ready', () => {
      if (settled) return
      settled = true
      signal?.removeEventListener('abort', onAbort)
      resolve(connectionOn(client, seen, where))
    })
    client.on('error', error => {
      const level = (error as { level?: string }).level
      if (mismatch) fail(mismatch)
      else if (level === 'client-authentication')
        fail(
          new Fault({
            code: 'host-auth-refused',
            blame: 'operator',
            message: `${where} does not let ${access.user} in with the key that we have`,
            remedy:
              'Check which key its Ignition config or installer was given, and that your key or agent has it',
            cause: error,
          }),
        )
      else if (/before handshake|ECONNRESET|Connection lost/.test(error.message))
        fail(
          new Fault({
            code: 'ssh-throttled',
            blame: 'network',
            message: `${where} takes the connection and drops it before the SSH handshake: too many connections in too short a time, or sshd is just starting`,
            remedy: 'It is tried again more slowly',
            cause: error,
            transient: true,
          }),
        )
      else fail(unreachable(where, error))
    })
    client.on('close', () =>
      fail(
        new Fault({
          code: 'ssh-throttled',
          blame: 'network',
          message: `${where} closed the connection before the SSH handshake was over`,
          remedy: 'It is tried again more slowly',
          transient: true,
        }),
      ),
    )
    const config: ConnectConfig = {
      username: access.user,
      readyTimeout: access.connectTimeoutMs ?? 10_000,
      // Without these a machine that reboots under us would leave us waiting for ever.
      keepaliveInterval: 5_000,
      keepaliveCountMax: 3,
      hostVerifier: (blob: Buffer) => {
        seen = publicKeyText(blob)
        if (access.pins === 'first-use' || access.pins.some(pin => samePublicKey(pin, seen))) return true
        mismatch = new Fault({
          code: 'host-key-mismatch',
          blame: 'host',
          message: `${where} shows the host key ${fingerprintOf(blob)}, not ${access.pins.map(fingerprintOfText).join(' or ') || 'any known one'}; nothing was sent to it`,
          remedy:
            'Another machine, or another system on the same one, answers at this address. Look at its console',
        })
        return false
      },
      ...(access.privateKey === undefined ? {} : { privateKey: access.privateKey }),
      ...(access.agent === undefined ? {} : { agent: access.agent }),
    }
    // Nagle's algorithm costs 40 ms on each of the handshake's five rounds; ssh2 switches it off only afterwards.
    const sock = connectTcp({ host: access.address, port: access.port, noDelay: true })
    client.connect({ ...config, sock })
  })
}

/** Tells what answers at an address, without ever throwing for what it finds. */
export async function probeSsh(access: SshAccess, signal?: AbortSignal): Promise<Probe> {
  let connection: SshConnection | undefined
  try {
    connection = await connectSsh({ ...access, pins: 'first-use' }, signal)
  } catch (thrown) {
    if (signal?.aborted || !(thrown instanceof Fault)) throw thrown
    if (thrown.code === 'host-auth-refused') return { state: 'refused-login' }
    if (thrown.code === 'ssh-throttled') return { state: 'throttled' }
    return { state: 'unreachable', why: thrown.message }
  }
  const { hostKey } = connection
  connection.close()
  const known = access.pins === 'first-use' || access.pins.some(pin => samePublicKey(pin, hostKey))
  return known
    ? { state: 'answers', hostKey }
    : { state: 'other-key', hostKey, fingerprint: fingerprintOfText(hostKey) }
}

function connectionOn(client: Client, hostKey: string, where: string): SshConnection {
  let open = 0
  const queue: (() => void)[] = []
  let lost: Error | undefined
  client.on('error', error => {
    lost ??= error
  })
  client.on('close', () => {
    lost ??= new Error('the connection was closed')
    for (const next of queue.splice(0)) next()
  })
  const enter = async () => {
    if (open >= channelsAtOnce) await new Promise<void>(resolve => queue.push(resolve))
    open += 1
  }
  const leave = () => {
    open -= 1
    queue.shift()?.()
  }
  return {
    hostKey,
    async run(command, options = {}) {
      await enter()
      try {
        if (lost) throw unreachable(where, lost)
        return await exec(client, command, where, options)
      } finally {
        leave()
      }
    },
    close() {
      client.end()
    },
  }
}

function exec(
  client: Client,
  command: string,
  where: string,
  options: { stdin?: string | Buffer; signal?: AbortSignal; timeoutMs?: number },
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        end(() =>
          reject(
            unreachable(where, new Error(`a command did not end within ${options.timeoutMs ?? 60_000} ms`)),
          ),
        ),
      options.timeoutMs ?? 60_000,
    )
    const onAbort = () => end(() => reject(options.signal?.reason))
    const onClose = () =>
      end(() => reject(unreachable(where, new Error('the connection was lost during a command'))))
    const end = (action: () => void) => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
      client.removeListener('close', onClose)
      action()
    }
    options.signal?.addEventListener('abort', onAbort)
    client.once('close', onClose)
    client.exec(command, (error, stream) => {
      if (error) return end(() => reject(unreachable(where, error)))
      const out: Buffer[] = []
      const err: Buffer[] = []
      let code: number | undefined
      stream.on('data', (chunk: Buffer) => out.push(chunk))
      stream.stderr.on('data', (chunk: Buffer) => err.push(chunk))
      stream.on('exit', (exit: number | null) => {
        code = exit ?? 255
      })
      stream.on('close', () =>
        end(() => {
          if (code === undefined)
            return reject(unreachable(where, new Error('a command ended without saying how')))
          resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
        }),
      )
      stream.end(options.stdin ?? '')
    })
  })
}

function unreachable(where: string, cause: unknown): Fault {
  return new Fault({
    code: 'host-unreachable',
    blame: 'network',
    message: `${where} cannot be reached by SSH`,
    remedy: 'Check that it is switched on and that its address is right',
    cause,
    transient: true,
  })
}

function publicKeyText(blob: Buffer): string {
  const length = blob.readUInt32BE(0)
  return `${blob.toString('latin1', 4, 4 + length)} ${blob.toString('base64')}`
}

function samePublicKey(one: string, other: string): boolean {
  return one.split(' ')[1] === other.split(' ')[1]
}

/** `SHA256:…` of a public key's text. */
export function fingerprintOfText(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}
