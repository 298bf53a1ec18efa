import { createHash, createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'

/** An SSH host key that this run made, before there is a host to have it. */
export interface HostKey {
  /** OpenSSH's own format, for /etc/ssh/ssh_host_ed25519_key. Secret. */
  privateKey: string
  /** One line: `ssh-ed25519 AAAA… recover`. */
  publicKey: string
  /** As `ssh-keygen -l` prints it: `SHA256:…`. */
  fingerprint: string
}

/**
 * The ed25519 host key of a host in a run. Derived, not stored: the same run and host always give the same key, so that
 * a resumed run knows its machines again without a private key ever lying in the journal.
 */
export function mintHostKey(runSecret: Buffer, host: string): HostKey {
  const seed = Buffer.from(hkdfSync('sha256', runSecret, 'recover ssh host key', `ed25519 ${host}`, 32))
  // PKCS#8 of an ed25519 key is this fixed prefix and the seed (RFC 8410, section 7).
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const raw = spki.subarray(spki.length - 32)
  const blob = Buffer.concat([field('ssh-ed25519'), field(raw)])
  // The two check numbers only have to be equal (PROTOCOL.key); fixed ones keep the file the same at every derivation.
  const check = hkdfSync('sha256', runSecret, 'recover ssh host key check', host, 4)
  const inner = Buffer.concat([
    Buffer.from(check),
    Buffer.from(check),
    field('ssh-ed25519'),
    field(raw),
    field(Buffer.concat([seed, raw])),
    field('recover'),
  ])
  const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, i) => i + 1))
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    number(1),
    field(blob),
    field(Buffer.concat([inner, padding])),
  ])
  const lines = file.toString('base64').replace(/.{70}/g, '$&\n')
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `ssh-ed25519 ${blob.toString('base64')} recover`,
    fingerprint: fingerprintOf(blob),
  }
}

/** `SHA256:…` of a public key's blob, as OpenSSH prints it. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

/** A line for a known_hosts file; a port other than 22 stands in the address. */
export function knownHostsLine(address: string, port: number, publicKey: string): string {
  const [type, blob] = publicKey.split(' ')
  return `${port === 22 ? address : `[${address}]:${port}`} ${type} ${blob}\n`
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([number(bytes.length), bytes])
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
