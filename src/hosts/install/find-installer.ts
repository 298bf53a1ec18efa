import { Fault } from '../../runbook/fault.ts'
import type { HostReader } from '../host.ts'
import type { DiskSelector } from '../resolve-disk.ts'
import type { SshAccess } from '../ssh.ts'
import { isOfRun } from './installer-config.ts'
import type { FoundInstaller } from './rung.ts'
import { isInstaller } from './running-from-memory.ts'

/** How to look for an installer on a machine. */
export interface Finding {
  run: string
  host: string
  disk: DiskSelector
  look<T>(access: SshAccess, signal: AbortSignal, look: (host: HostReader) => Promise<T>): Promise<T>
  /** The installer of this run: with its host key and the key that lets us in. */
  pinned: SshAccess
  /** Whoever else may answer; absent where an installer that we did not boot is not to be used. */
  anyone?: SshAccess | undefined
}

/**
 * Looks whether a system runs from which the host's disk can be written. This run's own installer is proven by its host
 * key, this run's name on its kernel's command line, and by running from memory; one that a person has booted is taken
 * by its look, and shown with its host key when they are asked for consent. Throws the Faults of resolving the disk:
 * another machine answers at the address.
 */
export async function findInstaller(
  finding: Finding,
  signal: AbortSignal,
): Promise<FoundInstaller | undefined> {
  const { run, host, disk } = finding
  const pinned = await looked(finding, finding.pinned, signal)
  if (typeof pinned !== 'string') {
    const { facts } = pinned
    if (!isOfRun(facts.kernelArguments, run) || !isInstaller(facts, disk, host)) return undefined
    return found(pinned, true)
  }
  // Nobody is there; asking again at once would only be more of it.
  if (!finding.anyone || (pinned !== 'host-key-mismatch' && pinned !== 'host-auth-refused')) return undefined
  const other = await looked(finding, finding.anyone, signal)
  if (typeof other === 'string' || other.facts.access === 'none') return undefined
  return isInstaller(other.facts, disk, host) ? found(other, false) : undefined
}

type Looked = { facts: Awaited<ReturnType<HostReader['facts']>>; hostKey: string }

function found({ facts, hostKey }: Looked, pinned: boolean): FoundInstaller {
  return {
    hostKey,
    machineSerial: facts.machineSerial,
    bootId: facts.bootId,
    name: facts.os.name || 'some system',
    pinned,
  }
}

/** One look, or the code of the Fault that it ended in. */
async function looked({ look }: Finding, access: SshAccess, signal: AbortSignal): Promise<Looked | string> {
  try {
    return await look(access, signal, async host => ({
      facts: await host.facts(signal),
      hostKey: host.hostKey,
    }))
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof Fault)) throw thrown
    return thrown.code
  }
}
