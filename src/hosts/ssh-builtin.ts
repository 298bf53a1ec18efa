import { connect as connectTcp } from 'node:net'
import { Readable } from 'node:stream'
import ssh2, { type Client, type ClientCallback, type ClientChannel, type ConnectConfig } from 'ssh2'
import { Fault } from '../runbook/fault.ts'
import {
  type CommandResult,
  patientKeepAlive,
  type RunOptions,
  type SshAccess,
  type SshConnection,
} from './ssh-access.ts'
import {
  lineLost,
  loginRefused,
  otherHostKey,
  refusedConnection,
  silent,
  throttled,
  unreachable,
  whereOf,
} from './ssh-faults.ts'
import { accepts, hostKeyAlgorithms, publicKeyText } from './ssh-host-key.ts'
import { sessionsAtOnce, turnstile } from './turnstile.ts'

/** The transport that needs no program: ssh2. Agents and key files, no jump hosts, no certificates. */
export function connectBuiltin(access: SshAccess, signal?: AbortSignal): Promise<SshConnection> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const key = usableKey(access)
    const client: Client = new ssh2.Client()
    const bound = access.connectTimeoutMs ?? 10_000
    let seen = ''
    let mismatch: Fault | undefined
    let agentTrouble: Error | undefined
    let taken = false
    let greeted = false
    let settled = false
    const settle = (action: () => void) => {
      if (settled) return
      settled = true
      signal?.removeEventListener('abort', onAbort)
      action()
    }
    const fail = (reason: unknown) =>
      settle(() => {
        client.destroy()
        reject(reason)
      })
    const onAbort = () => fail(signal?.reason)
    signal?.addEventListener('abort', onAbort)

    client.on('handshake', () => {
      greeted = true
    })
    client.on('ready', () => settle(() => resolve(connectionOn(client, seen, access))))
    client.on('error', (error: Error & { level?: string; code?: string }) => {
      // An agent that does not answer is not the end: the key file may do.
      if (error.level === 'agent') {
        agentTrouble = error
        return
      }
      fail(mismatch ?? reasonOf(error))
    })
    client.on('close', () =>
      fail(mismatch ?? (greeted ? lineLost(access, undefined) : throttled(access, undefined))),
    )
    const reasonOf = (error: Error & { level?: string; code?: string }): Fault => {
      if (error.level === 'client-authentication')
        return agentTrouble === undefined ? loginRefused(access, error) : agentSilent(access, agentTrouble)
      if (error.level === 'client-timeout')
        return taken
          ? silent(
              access,
              `it took the connection and did not finish the SSH handshake in ${bound} ms`,
              error,
            )
          : unreachable(access, new Error(`no answer in ${bound} ms`))
      if (error.code === 'ECONNREFUSED') return refusedConnection(access, error)
      if (!taken) return unreachable(access, error)
      return greeted ? lineLost(access, error) : throttled(access, error)
    }
    const { everyMs, times } = access.keepAlive ?? patientKeepAlive
    const config: ConnectConfig = {
      username: access.user,
      readyTimeout: bound,
      keepaliveInterval: everyMs,
      keepaliveCountMax: times,
      algorithms: { serverHostKey: hostKeyAlgorithms(access.pins) },
      hostVerifier: (blob: Buffer) => {
        seen = publicKeyText(blob)
        if (accepts(access.pins, seen)) return true
        mismatch = otherHostKey(access, seen)
        return false
      },
      ...(key === undefined ? {} : { privateKey: key }),
      ...(access.agent === undefined ? {} : { agent: access.agent }),
    }
    // Nagle's algorithm costs 40 ms on each of the handshake's five rounds; ssh2 switches it off only afterwards.
    const sock = connectTcp({ host: access.address, port: access.port, noDelay: true })
    sock.once('connect', () => {
      taken = true
      access.taken?.()
    })
    client.connect({ ...config, sock })
  })
}

/** The key, if there is one that can be used without asking for a passphrase. Fault `ssh-key-unusable` if nothing is left. */
function usableKey(access: SshAccess): string | undefined {
  if (access.privateKey === undefined) return undefined
  const parsed = ssh2.utils.parseKey(access.privateKey)
  if (!(parsed instanceof Error)) return access.privateKey
  // With an agent, the file is what the agent was given; it need not be readable here.
  if (access.agent !== undefined) return undefined
  const encrypted = /encrypted/i.test(parsed.message)
  throw new Fault({
    code: 'ssh-key-unusable',
    blame: 'operator',
    message: `the private key for ${whereOf(access)} ${encrypted ? 'is protected by a passphrase' : `cannot be read (${parsed.message})`}`,
    remedy: encrypted
      ? 'Give it to an ssh-agent (ssh-add FILE) and run recover where SSH_AUTH_SOCK is set'
      : 'Name an OpenSSH or PEM private key, or give it to an ssh-agent (ssh-add FILE)',
  })
}

function agentSilent(access: SshAccess, cause: Error): Fault {
  return new Fault({
    code: 'ssh-agent-silent',
    blame: 'operator',
    message: `${whereOf(access)} wants a key, and the ssh-agent at ${access.agent} does not answer`,
    remedy: 'Start an ssh-agent, add your key to it (ssh-add) and run recover where SSH_AUTH_SOCK is set',
    cause,
  })
}

function connectionOn(client: Client, hostKey: string, access: SshAccess): SshConnection {
  const enter = turnstile(sessionsAtOnce)
  let lost: Error | undefined
  let down = false
  client.on('error', error => {
    lost ??= error
  })
  const closed = new Promise<void>(resolve => {
    client.on('close', () => {
      down = true
      resolve()
    })
  })
  const whyLost = () =>
    lost && /keepalive/i.test(lost.message)
      ? silent(access, 'it no longer answers on its line', lost)
      : lineLost(access, lost)
  return {
    hostKey,
    closed,
    run: (command, options = {}) =>
      enter(() => (down ? Promise.reject(whyLost()) : exec(client, command, access, options, whyLost))),
    close() {
      client.end()
      // A machine that says nothing any more does not confirm the end, either.
      const impatient = setTimeout(() => client.destroy(), 2_000)
      impatient.unref()
      client.once('close', () => clearTimeout(impatient))
    },
  }
}

function exec(
  client: Client,
  command: string,
  access: SshAccess,
  options: RunOptions,
  whyLost: () => Fault,
): Promise<CommandResult> {
  const bound = options.timeoutMs ?? 60_000
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) return reject(options.signal.reason)
    let channel: ClientChannel | undefined
    let ended = false
    const end = (action: () => void) => {
      if (ended) return
      ended = true
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
      client.removeListener('close', onClose)
      action()
    }
    /** Ends the command as far as we can, so that it does not hold one of the line's sessions. */
    const giveUp = (reason: unknown) =>
      end(() => {
        reject(reason)
        channel?.signal('TERM')
        channel?.close()
      })
    const timer = setTimeout(() => giveUp(silent(access, `a command did not end within ${bound} ms`)), bound)
    const onAbort = () => giveUp(options.signal?.reason)
    const onClose = () => end(() => reject(whyLost()))
    options.signal?.addEventListener('abort', onAbort)
    client.once('close', onClose)
    const began: ClientCallback = (error, stream) => {
      if (error) return end(() => reject(lineLost(access, error)))
      channel = stream
      if (ended) return stream.close()
      const out: Buffer[] = []
      const err: Buffer[] = []
      let code: number | undefined
      stream.on('data', (chunk: Buffer) => out.push(chunk))
      stream.stderr.on('data', (chunk: Buffer) => err.push(chunk))
      stream.on('error', () => {})
      stream.on('exit', (exit: number | null) => {
        code = exit ?? 255
      })
      stream.on('close', () =>
        end(() => {
          if (code === undefined)
            return reject(lineLost(access, new Error('a command ended without saying how')))
          resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
        }),
      )
      if (options.stdin instanceof Readable) options.stdin.once('error', giveUp).pipe(stream)
      else stream.end(options.stdin ?? '')
    }
    try {
      client.exec(command, began)
    } catch (thrown) {
      // ssh2 throws at once where the line went down so lately that its `close` has not come yet.
      end(() => reject(lineLost(access, thrown)))
    }
  })
}
