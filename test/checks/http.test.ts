import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectWeb, type Trust, type WebQuestion } from '../../src/checks/http.ts'
import { takesConnections } from '../../src/checks/tcp.ts'
import { type Identity, openPki } from '../../src/lab/pki.ts'

const kept: Record<string, unknown> = {}
const never = new AbortController().signal
let port = 0
let identity: Identity
let authority: string
const seen: { host: string | undefined; servername: unknown }[] = []
const server: { close(): void } = { close() {} }

beforeAll(async () => {
  const world = {
    address: '127.0.0.1',
    read: <T>(name: string) => kept[name] as T | undefined,
    write: (name: string, value: unknown) => {
      kept[name] = value
    },
  }
  const pki = await openPki(world, ['web'], [], ['photos.example.net'])
  identity = pki.server('web')
  authority = pki.ca.certificate
  const https = createServer({ cert: identity.certificate, key: identity.key }, (request, response) => {
    seen.push({
      host: request.headers.host,
      servername: (request.socket as { servername?: unknown }).servername,
    })
    if (request.url === '/large') return response.end('x'.repeat(3 * 1024 * 1024))
    response.writeHead(request.url === '/gone' ? 404 : 200, { 'x-served-by': 'photos-0' })
    response.end('the data of photos/library')
  })
  await new Promise<void>(resolve => https.listen(0, '127.0.0.1', resolve))
  port = (https.address() as AddressInfo).port
  server.close = () => {
    https.closeAllConnections()
    https.close()
  }
})
afterAll(() => server.close())

const get = async (path: string, trust: Trust, more: Partial<WebQuestion> = {}) => {
  const web = connectWeb()
  try {
    const connect = { address: '127.0.0.1', port }
    return await web.get({ url: `https://photos.example.net${path}`, trust, connect, ...more }, never)
  } finally {
    await web.close()
  }
}

test('a name that does not resolve is reached at an address, and stays in the Host header and in TLS', async () => {
  expect(await get('/', { by: 'authority', pem: authority })).toMatchObject({
    status: 200,
    text: 'the data of photos/library',
    headers: { 'x-served-by': 'photos-0' },
  })
  expect(seen.at(-1)).toEqual({ host: 'photos.example.net', servername: 'photos.example.net' })
})

test('who may answer', async () => {
  const status = async (trust: Trust, more: Partial<WebQuestion> = {}) => {
    const answer = await get('/', trust, more)
    return [answer.status, answer.status === 0 ? answer.why : '']
  }
  const sha256 = identity.fingerprint.replace('sha256:', '')
  expect(await status({ by: 'system' })).toEqual([
    0,
    expect.stringMatching(/unable to (?:verify|get)|self-signed/),
  ])
  expect(await status({ by: 'fingerprint', sha256 })).toEqual([200, ''])
  expect(await status({ by: 'fingerprint', sha256: 'f'.repeat(64) })).toEqual([
    0,
    `its certificate is another one than recover.yaml names: sha256:${sha256}`,
  ])
  expect(await status({ by: 'nobody' })).toEqual([200, ''])
  expect(await status({ by: 'authority', pem: authority }, { url: 'https://other.example.net/' })).toEqual([
    0,
    expect.stringContaining("does not match certificate's altnames"),
  ])
})

test('another status, and no more of an answer than a check needs', async () => {
  const trust = { by: 'authority', pem: authority } as const
  expect(await get('/gone', trust)).toMatchObject({
    status: 404,
    why: 'it answers 404 (the data of photos/library)',
  })
  expect((await get('/large', trust)).text).toHaveLength(1024 * 1024)
})

test('a lab’s ingress takes every question, whoever a person trusts', async () => {
  const web = connectWeb({ address: '127.0.0.1', port, certificateAuthority: authority })
  const trust = { by: 'fingerprint', sha256: 'f'.repeat(64) } as const
  const answer = await web.get(
    { url: 'https://photos.example.net/', trust, connect: { address: '192.0.2.1', port: 1 } },
    never,
  )
  expect(answer.status).toBe(200)
  await web.close()
})

test('whether a port takes connections', async () => {
  expect(await takesConnections({ address: '127.0.0.1', port }, never)).toEqual({
    open: true,
    why: 'it takes connections',
  })
  expect(await takesConnections({ address: '127.0.0.1', port: 1 }, never)).toEqual({
    open: false,
    why: expect.stringContaining('ECONNREFUSED'),
  })
})
