import { Fault } from '../runbook/fault.ts'
import type { SshAccess } from './ssh-access.ts'
import { fingerprintOfText } from './ssh-host-key.ts'

/** A machine and where it was looked for, as every message about a line to it says. */
export function whereOf({ name, address, port }: SshAccess): string {
  return `${name} (${address}:${port})`
}

/** Nothing answers: switched off, another address, a cable. */
export function unreachable(access: SshAccess, cause: unknown): Fault {
  return new Fault({
    code: 'host-unreachable',
    blame: 'network',
    message: `${whereOf(access)} cannot be reached by SSH`,
    remedy: 'Check that it is switched on and that its address is right',
    cause,
    transient: true,
  })
}

/** It is off, as the one who must know says; it is not waited for any longer. */
export function switchedOff(access: SshAccess): Fault {
  return new Fault({
    code: 'host-off',
    blame: 'host',
    message: `${whereOf(access)} does not answer, and its BMC says that it is off`,
    remedy: 'Switch it on, or let the ladder do it',
    transient: true,
  })
}

/** The machine is up, and nothing listens there: it boots, or its sshd has another port. */
export function refusedConnection(access: SshAccess, cause: unknown): Fault {
  return new Fault({
    code: 'ssh-refused',
    blame: 'host',
    message: `${whereOf(access)} refuses the connection: the machine is up, but no SSH server listens there`,
    remedy: 'It may be starting still. Otherwise check the port, and sshd at its console',
    cause,
    transient: true,
  })
}

const droppedEarly =
  'takes the connection and drops it before the SSH handshake: too many connections in too short a time, or sshd is just starting'

/** Too many connections in too short a time, which passes; not a dead machine. */
export function throttled(access: SshAccess, cause: unknown, how = droppedEarly): Fault {
  return new Fault({
    code: 'ssh-throttled',
    blame: 'network',
    message: `${whereOf(access)} ${how}`,
    remedy: 'It is tried again more slowly',
    cause,
    transient: true,
  })
}

/** It is there and says nothing any more, though nobody closed the connection. */
export function silent(access: SshAccess, what: string, cause?: unknown): Fault {
  return new Fault({
    code: 'host-silent',
    blame: 'host',
    message: `${whereOf(access)} went silent: ${what}`,
    remedy:
      'It may hang, or the network to it is cut. Look at its console if it does not come back by itself',
    cause,
    transient: true,
  })
}

/** The line ended under a command, whose outcome is unknown. */
export function lineLost(access: SshAccess, cause: unknown): Fault {
  return new Fault({
    code: 'host-line-lost',
    blame: 'network',
    message: `the line to ${whereOf(access)} was lost`,
    remedy:
      'It is opened again by itself; if it is lost again and again, look at the machine and at the network',
    cause,
    transient: true,
  })
}

/** The machine is the right one and does not know us. */
export function loginRefused(access: SshAccess, cause: unknown): Fault {
  return new Fault({
    code: 'host-auth-refused',
    blame: 'operator',
    message: `${whereOf(access)} does not let ${access.user} in with the key that we have`,
    remedy: 'Check which key its Ignition config or installer was given, and that your key or agent has it',
    cause,
  })
}

/** @param seen the public key that it showed, or its fingerprint when that is all that is known */
export function otherHostKey(access: SshAccess, seen: string): Fault {
  const pins = access.pins === 'first-use' ? [] : access.pins
  const shown = seen.includes(' ') ? fingerprintOfText(seen) : seen
  return new Fault({
    code: 'host-key-mismatch',
    blame: 'host',
    message: `${whereOf(access)} shows the host key ${shown}, not ${pins.map(fingerprintOfText).join(' or ') || 'any known one'}; nothing was sent to it`,
    remedy:
      'Another machine, or another system on the same one, answers at this address. Look at its console',
  })
}

/** Whether a line that was there is there no more, so that opening another may help. */
export function isLost(thrown: unknown): boolean {
  return thrown instanceof Fault && (thrown.code === 'host-line-lost' || thrown.code === 'host-silent')
}
