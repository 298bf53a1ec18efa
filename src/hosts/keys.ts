import { createECDH, createHash, createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'

/** An SSH host key that this run made, before there is a host to have it. */
export interface HostKey {
  /** As in the names of sshd's files: `/etc/ssh/ssh_host_ed25519_key`. */
  type: 'ed25519' | 'ecdsa'
  /** OpenSSH's own format. Secret. */
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
  const seed = derived(runSecret, 'recover ssh host key', `ed25519 ${host}`, 32)
  // PKCS#8 of an ed25519 key is this fixed prefix and the seed (RFC 8410, section 7).
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const raw = spki.subarray(spki.length - 32)
  return openSshKey('ed25519', [field('ssh-ed25519'), field(raw)], [field(Buffer.concat([seed, raw]))], {
    check: derived(runSecret, 'recover ssh host key check', host, 4),
  })
}

/**
 * Every host key of a host in a run, the pinned ed25519 one first; all derived from the run's secret.
 *
 * There is no RSA key among them. Deriving one would take a search for primes of our own, and a stored one would be
 * the only private key of a machine that lies on this computer. Nobody needs it: OpenSSH asks first for the types that
 * known_hosts has, ssh2 and k0sctl for ed25519. An sshd that makes itself an RSA key at its first boot, as Flatcar's
 * does, therefore never gets to show it.
 */
export function mintHostKeys(runSecret: Buffer, host: string): HostKey[] {
  return [mintHostKey(runSecret, host), mintEcdsaKey(runSecret, host)]
}

/** The ecdsa-sha2-nistp256 host key, derived likewise. */
function mintEcdsaKey(runSecret: Buffer, host: string): HostKey {
  const curve = createECDH('prime256v1')
  const scalar = scalarFor(runSecret, host)
  curve.setPrivateKey(scalar)
  const name = [field('ecdsa-sha2-nistp256'), field('nistp256')]
  return openSshKey('ecdsa', [...name, field(curve.getPublicKey())], [field(positive(scalar))], {
    check: derived(runSecret, 'recover ssh host key check', `ecdsa ${host}`, 4),
  })
}

/** Order of the group of P-256 (FIPS 186-4, D.1.2.3): a private key is below it and not zero. */
const p256Order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')

function scalarFor(runSecret: Buffer, host: string): Buffer {
  // 128 bits more than needed, so that the remainder is spread evenly (FIPS 186-4, B.4.1).
  const wide = BigInt(`0x${derived(runSecret, 'recover ssh host key', `ecdsa ${host}`, 48).toString('hex')}`)
  const scalar = (wide % (p256Order - 1n)) + 1n
  return Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex')
}

function derived(runSecret: Buffer, salt: string, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', runSecret, salt, purpose, bytes))
}

/** A key file as OpenSSH writes it (its PROTOCOL.key), without a passphrase. */
function openSshKey(
  type: HostKey['type'],
  publicFields: Buffer[],
  privateFields: Buffer[],
  // The two check numbers only have to be equal; fixed ones keep the file the same at every derivation.
  { check }: { check: Buffer },
): HostKey {
  const blob = Buffer.concat(publicFields)
  const inner = Buffer.concat([check, check, ...publicFields, ...privateFields, field('recover')])
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
  const name = blob.toString('latin1', 4, 4 + blob.readUInt32BE(0))
  return {
    type,
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `${name} ${blob.toString('base64')} recover`,
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

/** A number as SSH writes it: without leading zeros, with one where its first bit would make it negative (RFC 4251). */
function positive(bytes: Buffer): Buffer {
  const from = bytes.findIndex(b => b !== 0)
  const short = bytes.subarray(from)
  return (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
