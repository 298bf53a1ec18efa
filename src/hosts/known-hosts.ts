import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type HostKey, knownHostsLine } from './keys.ts'

/** One machine of a run, as ssh and k0sctl know it. */
export interface KnownHost {
  address: string
  port: number
  keys: readonly HostKey[]
}

/** Where a run's known_hosts lies: one for all who log in to its machines. */
export function knownHostsFile(runFolder: string): string {
  return join(runFolder, 'known_hosts')
}

/** A machine's lines in known_hosts, one for each of its keys. */
export function knownHostLines({ address, port, keys }: KnownHost): string {
  return keys.map(key => knownHostsLine(address, port, key.publicKey)).join('')
}

/**
 * Writes a known_hosts file (0600) with every host key that a run gave its machines, and nothing else: whoever reads
 * it (ssh, k0sctl) trusts these and no other. To be written anew before each use: k0sctl adds whom it does not know.
 */
export function writeKnownHosts(path: string, hosts: readonly KnownHost[]): string {
  writeFileSync(path, hosts.map(knownHostLines).join(''), { mode: 0o600 })
  chmodSync(path, 0o600)
  return path
}
