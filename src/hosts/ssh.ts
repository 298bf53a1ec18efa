import { Fault } from '../runbook/fault.ts'
import type { SshAccess, SshConnection } from './ssh-access.ts'
import { connectBuiltin } from './ssh-builtin.ts'
import { accepts, fingerprintOfText } from './ssh-host-key.ts'

export type { CommandResult, OpenSsh, RunOptions, SshAccess, SshConnection } from './ssh-access.ts'
export { fingerprintOfText } from './ssh-host-key.ts'

/** What answers at an address, each told apart from the others. */
export type Probe =
  | { state: 'answers'; hostKey: string }
  | { state: 'other-key'; hostKey: string; fingerprint: string }
  | { state: 'refused-login' }
  /** It is there and takes no connection now; that passes. */
  | { state: 'throttled' }
  /** The machine is up and has no SSH server. */
  | { state: 'refused' }
  /** Something took the connection and says nothing. */
  | { state: 'silent' }
  | { state: 'unreachable'; why: string }

/**
 * Connects, never without comparing the host key. Throws Fault: `host-unreachable`, `ssh-refused`, `ssh-throttled`,
 * `host-silent`, `host-key-mismatch`, `host-auth-refused`, and what a transport alone can lack (`ssh-key-unusable`,
 * `ssh-agent-silent`, `ssh-program-missing`, `ssh-config-invalid`, `ssh-jump-failed`).
 */
export async function connectSsh(access: SshAccess, signal?: AbortSignal): Promise<SshConnection> {
  if (access.openssh === undefined) return connectBuiltin(access, signal)
  const { connectOpenSsh } = await import('./ssh-openssh.ts')
  return connectOpenSsh(access, access.openssh, signal)
}

/** Tells what answers at an address, without throwing for what it finds there. */
export async function probeSsh(access: SshAccess, signal?: AbortSignal): Promise<Probe> {
  return probing(access, signal, async () => {
    const connection = await connectSsh({ ...access, pins: 'first-use' }, signal)
    connection.close()
    return connection.hostKey
  })
}

/** What connecting by `look` says about a machine. What stands in the way on our own side is thrown. */
export async function probing(
  access: SshAccess,
  signal: AbortSignal | undefined,
  look: () => Promise<string>,
): Promise<Probe> {
  try {
    const hostKey = await look()
    return accepts(access.pins, hostKey)
      ? { state: 'answers', hostKey }
      : { state: 'other-key', hostKey, fingerprint: fingerprintOfText(hostKey) }
  } catch (thrown) {
    if (signal?.aborted || !(thrown instanceof Fault)) throw thrown
    switch (thrown.code) {
      case 'host-auth-refused':
        return { state: 'refused-login' }
      case 'ssh-throttled':
        return { state: 'throttled' }
      case 'ssh-refused':
        return { state: 'refused' }
      case 'host-silent':
        return { state: 'silent' }
      case 'host-unreachable':
      case 'host-off':
      case 'host-line-lost':
      case 'ssh-jump-failed':
        return { state: 'unreachable', why: thrown.message }
      default:
        throw thrown
    }
  }
}
