import { createHash, createPublicKey, type JsonWebKey, verify } from 'node:crypto'

/** A public key as JSON (RFC 7517), as far as Tang's are. */
export interface Jwk {
  kty: string
  crv?: string
  x?: string
  y?: string
  n?: string
  e?: string
  alg?: string
  key_ops?: string[]
}

/** A thumbprint of a key (RFC 7638): the hash of what makes it this key and no other, in base64url. */
export function thumbprint(key: Jwk, hash: 'sha256' | 'sha1' = 'sha256'): string {
  const { kty, crv, x, y, n, e } = key
  // The members that count, in the order of their names, without a blank.
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'OKP' ? { crv, kty, x } : { crv, kty, x, y }
  return createHash(hash).update(JSON.stringify(members)).digest('base64url')
}

/** A signed text (RFC 7515) in its JSON forms: with one signature, or with several. */
export interface Jws {
  payload: string
  protected?: string
  signature?: string
  signatures?: { protected?: string; signature?: string }[]
}

/** Hash and curve of the signatures by elliptic curves (RFC 7518, section 3.4). */
const algorithms: Record<string, { hash: string; curve: string }> = {
  ES256: { hash: 'sha256', curve: 'P-256' },
  ES384: { hash: 'sha384', curve: 'P-384' },
  ES512: { hash: 'sha512', curve: 'P-521' },
}

/** Whether one of the signatures of a text is by this key. Algorithms other than Tang's are not looked at. */
export function signedBy(jws: Jws, key: Jwk): boolean {
  const all = jws.signatures ?? [{ protected: jws.protected, signature: jws.signature }]
  return all.some(one => {
    if (typeof one.protected !== 'string' || typeof one.signature !== 'string') return false
    try {
      const header = JSON.parse(Buffer.from(one.protected, 'base64url').toString()) as {
        alg?: string
        crit?: unknown
      }
      const algorithm = algorithms[header.alg ?? '']
      // A header that must be understood (`crit`) is not.
      if (!algorithm || algorithm.curve !== key.crv || header.crit !== undefined) return false
      const { kty, crv, x, y } = key
      return verify(
        algorithm.hash,
        Buffer.from(`${one.protected}.${jws.payload}`),
        {
          key: createPublicKey({ key: { kty, crv, x, y } as JsonWebKey, format: 'jwk' }),
          dsaEncoding: 'ieee-p1363',
        },
        Buffer.from(one.signature, 'base64url'),
      )
    } catch {
      return false
    }
  })
}
