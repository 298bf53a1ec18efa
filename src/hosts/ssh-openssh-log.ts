import { Fault } from '../runbook/fault.ts'
import type { SshAccess } from './ssh-access.ts'
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
import { fingerprintOfText } from './ssh-host-key.ts'

/** What the log of an `ssh -v` says about the host key that the machine showed: type and `SHA256:…`. */
function shown(log: string): { type: string; fingerprint: string } | undefined {
  const found = /^debug1: Server host key: (\S+) (SHA256:\S+)/m.exec(log)
  return found ? { type: found[1]!, fingerprint: found[2]! } : undefined
}

/** The key that was accepted: one of the pins, or what was written down at first use. */
export function seenHostKey(pins: string[], log: string, knownHosts: string): string | undefined {
  const written = knownHosts
    .split('\n')
    .map(line => line.split(' ').slice(1, 3).join(' '))
    .filter(key => key !== '')
  const candidates = [...pins.map(pin => pin.split(' ').slice(0, 2).join(' ')), ...written]
  const fingerprint = shown(log)?.fingerprint
  return candidates.find(key => fingerprintOfText(key) === fingerprint)
}

/**
 * Why `ssh` got no further, by what OpenSSH 8.2 to 10 write (sshconnect.c, packet.c, readconf.c).
 * @param log its own words with `-v`
 * @param said what else came out of it: the words of a jump host's ssh
 */
export function whyRefused(access: SshAccess, log: string, said: string): Fault {
  const words = plain(log)
  const others = plain(said)
  const cause = new Error(lastLines(words) || lastLines(others) || 'ssh ended with 255')
  if (
    /bad configuration option|Bad owner or permissions|Can't open user config|^\S+(?: line|: line) \d+: /im.test(
      `${words}\n${others}`,
    )
  )
    return configInvalid(access, cause)
  if (/Host key verification failed|no matching host key type/i.test(words)) {
    const key = shown(log)
    // Without a key of its own in the log it was the jump host that failed the check.
    if (key) return otherHostKey(access, key.fingerprint)
    if (/no matching host key type/i.test(words))
      return otherHostKey(access, 'of a type that is not asked for')
    return jumpFailed(access, new Error(lastLines(others) || cause.message))
  }
  if (/Permission denied \(|Too many authentication failures|no more authentication methods/i.test(words))
    return loginRefused(access, cause)
  // A program in between (ProxyJump, ProxyCommand) has no address to name.
  if (/UNKNOWN port 65535|by UNKNOWN|stdio forwarding failed/i.test(words))
    return jumpFailed(access, new Error(lastLines(others) || cause.message))
  if (/Connection refused/i.test(words)) return refusedConnection(access, cause)
  if (/timed out during banner exchange/i.test(words))
    return silent(access, 'it took the connection and did not begin the SSH handshake', cause)
  if (/not responding/i.test(words)) return silent(access, 'it stopped answering during the login', cause)
  if (
    /kex_exchange_identification|ssh_exchange_identification|banner exchange|Not allowed at this time|Exceeded MaxStartups/i.test(
      words,
    )
  )
    return throttled(access, cause)
  if (/Connection (?:closed|reset) by|Connection to \S+ closed|Broken pipe/i.test(words))
    return lineLost(access, cause)
  return unreachable(access, cause)
}

/** What is said to a person, without what `-v` adds. */
function plain(log: string): string {
  return log
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !/^(?:debug\d: |OpenSSH_)/.test(line))
    .join('\n')
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-2).join(' / ')
}

function configInvalid(access: SshAccess, cause: Error): Fault {
  return new Fault({
    code: 'ssh-config-invalid',
    blame: 'operator',
    message: `ssh does not accept its configuration for ${whereOf(access)}: ${cause.message}`,
    remedy: 'Mend the ssh config that is named (~/.ssh/config, or `ssh.config` in recover.yaml)',
    cause,
  })
}

function jumpFailed(access: SshAccess, cause: Error): Fault {
  return new Fault({
    code: 'ssh-jump-failed',
    blame: 'network',
    message: `${whereOf(access)} was not reached through the jump host of your ssh config: ${cause.message}`,
    remedy:
      'Try `ssh` to the jump host by hand: its host key must be in your known_hosts, and your key in your agent',
    cause,
    transient: true,
  })
}
