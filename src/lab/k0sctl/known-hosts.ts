import { createHmac, randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SshAccess } from '../../hosts/ssh.ts'

/** The known_hosts file as k0sctl 0.32 treats it; undefined where it is told to check nothing. */
export function knownHostsFile(): string | undefined {
  const file = process.env.SSH_KNOWN_HOSTS
  if (file === undefined) return join(process.env.HOME ?? '', '.ssh', 'known_hosts')
  return file === '' || file === '/dev/null' ? undefined : file
}

/** Keys that are accepted at an address. A host of which the file knows nothing is trusted, silently. */
export function accepted(address: string, port: number): SshAccess['pins'] {
  const file = knownHostsFile()
  const known =
    file === undefined || !existsSync(file)
      ? []
      : readFileSync(file, 'utf8')
          .split('\n')
          .map(line => line.split(' '))
          .filter(([who = '']) => names(who, nameOf(address, port)))
          .map(([, type, key]) => `${type} ${key}`)
  return known.length === 0 ? 'first-use' : known
}

/** Writes a host that was trusted at first use down, its name hashed. Only a file that it makes is closed to others. */
export function remember(address: string, port: number, key: string): void {
  const file = knownHostsFile()
  if (file === undefined) return
  const salt = randomBytes(20)
  const line = `|1|${salt.toString('base64')}|${hashed(salt, nameOf(address, port))} ${key}\n`
  appendFileSync(file, line, { mode: 0o600 })
}

function nameOf(address: string, port: number): string {
  return port === 22 ? address : `[${address}]:${port}`
}

function names(who: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|(.+)$/.exec(who) ?? []
  if (salt === undefined) return who.split(',').includes(name)
  return hashed(Buffer.from(salt, 'base64'), name) === hash
}

function hashed(salt: Buffer, name: string): string {
  return createHmac('sha1', salt).update(name).digest('base64')
}
