import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { World } from '../world.ts'

/**
 * The lab's Tang (github.com/latchset/tang): one signing key and one for recovering, made once a world, and `/adv`
 * signed as the real one signs it. Nothing in the lab is encrypted to it, so it recovers nothing.
 */
export class TangEmulator {
  private readonly server: Server
  private readonly key: { private: KeyObject; public: JsonWebKey }
  private readonly advertisement: string
  private readonly address: string

  constructor(world: World) {
    this.address = world.address
    const known = world.read<{ signing: JsonWebKey; exchange: JsonWebKey }>('tang')
    const made = known ?? { signing: newKey(), exchange: newKey() }
    if (!known) world.write('tang', made)
    this.key = {
      private: createPrivateKey({ key: made.signing, format: 'jwk' }),
      public: publicPart(made.signing),
    }
    this.advertisement = this.advertise(publicPart(made.exchange))
    this.server = createServer((request, response) => {
      world.spokenToAt = performance.now()
      const [, part, thumbprint] = (request.url ?? '').split('/')
      const known = thumbprint === undefined || thumbprint === '' || thumbprint === this.thumbprint()
      const there = part === 'adv' && known
      response.statusCode = request.method !== 'GET' ? 405 : there ? 200 : 404
      response.setHeader('content-type', 'application/jose+json')
      response.end(response.statusCode === 200 ? this.advertisement : '')
    })
  }

  /** What a config would pin. */
  thumbprint(): string {
    const { crv, kty, x, y } = this.key.public
    return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>(resolve => this.server.listen(port, this.address, resolve))
    return (this.server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise(resolve => this.server.close(resolve))
  }

  private advertise(exchange: JsonWebKey): string {
    const keys = [
      { alg: 'ES512', ...this.key.public, key_ops: ['verify'] },
      { alg: 'ECMR', ...exchange, key_ops: ['deriveKey'] },
    ]
    const payload = encode({ keys })
    const header = encode({ alg: 'ES512', cty: 'jwk-set+json' })
    const signature = sign('sha512', Buffer.from(`${header}.${payload}`), {
      key: this.key.private,
      dsaEncoding: 'ieee-p1363',
    })
    return JSON.stringify({ payload, protected: header, signature: signature.toString('base64url') })
  }
}

/**
 * Read from PEM: exported as a JWK, a key that was only just generated can stop its thread for ever in Node 20.20, where the
 * garbage collector comes in between and what generated it wants the lock that the export has.
 */
function newKey(): JsonWebKey {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-521',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return createPrivateKey(privateKey).export({ format: 'jwk' })
}

function publicPart({ crv, kty, x, y }: JsonWebKey): JsonWebKey {
  return { crv, kty, x, y } as JsonWebKey
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
