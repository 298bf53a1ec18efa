import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type Jwk, thumbprint } from '../../../src/hosts/ignition/jose.ts'
import { connectTang, hostOf, pinProblem, readAdvertisement } from '../../../src/hosts/ignition/tang.ts'
import { TangEmulator } from '../../../src/lab/tang/emulator.ts'
import { World } from '../../../src/lab/world.ts'
import { smallBlueprint } from '../../lab/small-world.ts'
import { scratch } from '../../runbook/harness.ts'

const never = new AbortController().signal
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function client() {
  const tang = connectTang()
  closing.push(() => tang.close())
  return tang
}

async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function made(): { key: KeyObject; jwk: Jwk } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-521',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const jwk = createPublicKey(publicKey).export({ format: 'jwk' }) as unknown as Jwk
  return { key: createPrivateKey(privateKey), jwk: { ...jwk, alg: 'ES512', key_ops: ['verify'] } }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function signed(keys: Jwk[], by: KeyObject[]): string {
  const payload = encode({ keys })
  const header = encode({ alg: 'ES512', cty: 'jwk-set+json' })
  const signatures = by.map(key => ({
    protected: header,
    signature: sign('sha512', Buffer.from(`${header}.${payload}`), {
      key,
      dsaEncoding: 'ieee-p1363',
    }).toString('base64url'),
  }))
  return JSON.stringify({ payload, signatures })
}

test('thumbprints are those of RFC 7638', () => {
  // Its own example, section 3.1.
  const key = {
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
    e: 'AQAB',
  }
  expect(thumbprint(key)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

describe('a Tang server', () => {
  async function labs() {
    const world = World.create(scratch('tang'), smallBlueprint())
    const tang = new TangEmulator(world)
    const port = await tang.listen()
    closing.push(() => tang.close())
    return { tang, url: `http://${world.address}:${port}`, world }
  }

  test('the lab’s shows the keys that a config pins, and the same ones after a restart', async () => {
    const { tang, url, world } = await labs()
    const has = await client().advertisement(`${url}/`, never)
    expect(has.signing).toEqual([tang.thumbprint()])
    expect(has.exchange).toHaveLength(1)
    expect(pinProblem(url, tang.thumbprint(), has)).toBeUndefined()
    expect(pinProblem(url, has.signingSha1[0], has)).toBeUndefined()
    expect(new TangEmulator(world).thumbprint()).toBe(tang.thumbprint())
  })

  test('another key is told with those that it has; so is the wrong one of its own', async () => {
    const { tang, url } = await labs()
    const has = await client().advertisement(url, never)
    expect(pinProblem(url, '3SzzgeU1c4vWbTWympz0KPuLbw6X3bpF6na4pLU014w', has)).toMatchObject({
      code: 'tang-thumbprint-differs',
      message: expect.stringContaining(tang.thumbprint()),
    })
    expect(pinProblem(url, has.exchange[0], has)?.message).toContain('its key for recovering')
    expect(pinProblem(url, undefined, has)?.message).toContain('no thumbprint is pinned')
  })

  test('nobody there, no answer in time, an answer of somebody else', async () => {
    const tang = client()
    const nobody = await answering(() => {})
    closing.pop()?.()
    await expect(tang.advertisement(nobody, never)).rejects.toMatchObject({
      code: 'tang-unreachable',
      transient: true,
    })
    const silent = await answering(() => {})
    const stop = new AbortController()
    const asked = tang.advertisement(silent, stop.signal)
    stop.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('enough')
    const page = await answering((_, response) => response.end('<html>'))
    await expect(tang.advertisement(page, never)).rejects.toMatchObject({
      code: 'tang-advertisement-invalid',
    })
    const lost = await answering((_, response) => response.writeHead(404).end())
    await expect(tang.advertisement(lost, never)).rejects.toThrow('it answers 404')
    const moved = await answering((_, response) => response.writeHead(301, { location: nobody }).end())
    await expect(tang.advertisement(moved, never)).rejects.toThrow('it answers 301')
  })
})

describe('an advertisement', () => {
  const [one, two] = [made(), made()]

  test('is believed when every key that signs has signed it', () => {
    expect(readAdvertisement(signed([one.jwk, two.jwk], [two.key, one.key]), 'x').signing).toEqual([
      thumbprint(one.jwk),
      thumbprint(two.jwk),
    ])
  })

  test.each([
    ['one of two keys did not sign', signed([one.jwk, two.jwk], [one.key])],
    [
      'it was changed',
      JSON.stringify({ ...JSON.parse(signed([one.jwk], [one.key])), payload: encode({ keys: [two.jwk] }) }),
    ],
    ['another key signed', signed([one.jwk], [two.key])],
    ['nobody signed', signed([one.jwk], [])],
    ['it has no key', signed([], [one.key])],
    ['it is empty', '{}'],
  ])('is not believed when %s', (_, text) => {
    expect(() => readAdvertisement(text, 'http://tang')).toThrow('does not show a Tang server’s keys')
  })
})

test('the host of a URL', () => {
  expect(hostOf('http://tang.example.net:7500/x')).toBe('tang.example.net')
  expect(hostOf('http://[2001:db8::1]:80')).toBe('2001:db8::1')
  expect(hostOf('tang')).toBe('')
})
