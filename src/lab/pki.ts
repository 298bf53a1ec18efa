import 'reflect-metadata'
import { createHash, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { World } from './world.ts'

/** A certificate and its key, PEM; the fingerprint is of the DER, `sha256:` and lower-case hex without colons. */
export interface Identity {
  certificate: string
  key: string
  fingerprint: string
}

/** The lab's certificate authority and the certificates that it gave; kept in the world, so that pins stay true. */
export interface Pki {
  ca: Identity
  /** A server certificate for the world's address and localhost. */
  server(name: string): Identity
  /** A client certificate with Kubernetes groups. */
  client(user: string, groups: string[]): Identity
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/**
 * Opens the world's PKI, making it (and `names`, `clients`) where they are not there yet.
 * @param publicNames names that server certificates hold besides localhost
 */
export async function openPki(
  world: Pick<World, 'address' | 'read' | 'write'>,
  names: string[],
  clients: { user: string; groups: string[] }[],
  publicNames: string[] = [],
): Promise<Pki> {
  x509.cryptoProvider.set(webcrypto as never)
  const stored = world.read<Record<string, Identity>>('pki') ?? {}
  const pairs = new Map<string, webcrypto.CryptoKeyPair>()
  const issue = async (
    id: string,
    make: (keys: webcrypto.CryptoKeyPair) => Promise<x509.X509Certificate>,
  ) => {
    if (stored[id]) return
    const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
      'sign',
      'verify',
    ])) as webcrypto.CryptoKeyPair
    pairs.set(id, keys)
    const certificate = await make(keys)
    const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
    stored[id] = {
      certificate: certificate.toString('pem'),
      key: `-----BEGIN PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
      fingerprint: `sha256:${createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex')}`,
    }
  }
  const validity = { notBefore: new Date('2020-01-01'), notAfter: new Date('2060-01-01') }
  await issue('ca', keys =>
    x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=recover lab',
      keys,
      signingAlgorithm: algorithm,
      ...validity,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    }),
  )
  const ca = stored.ca
  if (!ca) throw new Error('the lab has no certificate authority')
  const signingKey =
    pairs.get('ca')?.privateKey ??
    (await webcrypto.subtle.importKey(
      'pkcs8',
      Buffer.from(ca.key.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64'),
      algorithm,
      true,
      ['sign'],
    ))
  const issuer = new x509.X509Certificate(ca.certificate).subject
  for (const name of names)
    await issue(`server:${name}`, keys =>
      x509.X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer,
        publicKey: keys.publicKey,
        signingKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions: [
          new x509.SubjectAlternativeNameExtension([
            { type: 'ip', value: world.address },
            { type: 'dns', value: 'localhost' },
            ...publicNames.map(value => ({ type: 'dns' as const, value })),
          ]),
        ],
      }),
    )
  for (const { user, groups } of clients)
    await issue(`client:${user}`, keys =>
      x509.X509CertificateGenerator.create({
        subject: [...groups.map(group => ({ O: [group] })), { CN: [user] }],
        issuer,
        publicKey: keys.publicKey,
        signingKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions: [new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.2'])],
      }),
    )
  world.write('pki', stored)
  const get = (id: string): Identity => {
    const identity = stored[id]
    if (!identity) throw new Error(`the lab has no certificate ${id}`)
    return identity
  }
  return { ca, server: name => get(`server:${name}`), client: user => get(`client:${user}`) }
}
