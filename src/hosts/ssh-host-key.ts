import { createHash } from 'node:crypto'

/** `ssh-ed25519 AAAA…` of a public key as it travels on the wire (RFC 4253, section 6.6). */
export function publicKeyText(blob: Buffer): string {
  const length = blob.readUInt32BE(0)
  return `${blob.toString('latin1', 4, 4 + length)} ${blob.toString('base64')}`
}

/** Compares two public keys' text by their key alone; a comment at the end does not count. */
export function samePublicKey(one: string, other: string): boolean {
  return one.split(' ')[1] === other.split(' ')[1]
}

/** Whether a machine that showed this key may be spoken to. */
export function accepts(pins: string[] | 'first-use', hostKey: string): boolean {
  return pins === 'first-use' || pins.some(pin => samePublicKey(pin, hostKey))
}

/** `SHA256:…` of a public key's text. */
export function fingerprintOfText(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

const known = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const

/**
 * Signature algorithms in which to ask a machine for its host key. Those of the pinned keys come first: a machine with
 * keys of several types would show the one that we do not know.
 */
export function hostKeyAlgorithms(pins: string[] | 'first-use'): (typeof known)[number][] {
  const types = new Set(pins === 'first-use' ? [] : pins.map(pin => pin.split(' ')[0]))
  const pinned = known.filter(algorithm => types.has(algorithm.startsWith('rsa-') ? 'ssh-rsa' : algorithm))
  return [...pinned, ...known.filter(algorithm => !pinned.includes(algorithm))]
}
