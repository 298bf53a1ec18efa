import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get as httpGet } from 'node:http'
import { get as httpsGet } from 'node:https'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import ssh2 from 'ssh2'
import { Agent, fetch, request } from 'undici'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectWeb } from '../../src/checks/http.ts'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { connectSsh } from '../../src/hosts/ssh.ts'
import { onlyLoopback } from '../../src/lab/isolation.ts'
import { labProgram } from '../../src/lab/programs.ts'
import { connectSynology } from '../../src/nas/synology/synology.ts'

// An address for documentation: where something goes wrong here, nobody is at home.
const far = '192.0.2.1'
const never = new AbortController().signal
const key = mintHostKey(Buffer.alloc(32), 'nobody').privateKey

let leave: () => void = () => {}
beforeEach(() => {
  leave = onlyLoopback()
})
afterEach(() => leave())

/** What became of an attempt to connect: the code of the refusal, or how far it got. */
async function outcome(attempt: () => unknown): Promise<string> {
  try {
    const made = await attempt()
    if (made instanceof Socket) {
      made.on('error', () => {})
      made.destroy()
    }
    return 'it was let through'
  } catch (thrown) {
    for (let error = thrown; error instanceof Error; error = error.cause)
      if ('code' in error && error.code === 'rehearsal-would-leave') return error.code
    return `${thrown}`
  }
}

/** Resolves once a request of node:http is on its way or refused. */
function sent(start: () => ReturnType<typeof httpGet>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const made = start()
    made.once('error', reject)
    made.once('socket', socket => {
      resolve(socket)
      made.destroy()
    })
  })
}

function datagram(act: (socket: ReturnType<typeof createSocket>) => void): void {
  const socket = createSocket('udp4')
  try {
    act(socket)
  } finally {
    socket.close()
  }
}

describe('in a rehearsal no connection leaves this machine', () => {
  const ways: [string, () => unknown][] = [
    ['an address', () => connect(22, far)],
    ['an address in an object', () => connect({ port: 22, host: far })],
    ['a socket of its own', () => new Socket().connect(22, far)],
    ['a port written as text', () => new Socket().connect('22' as never, far as never)],
    ['an object with an empty path', () => connect({ port: 22, host: far, path: '' })],
    ['an object with a path of null', () => connect({ port: 22, host: far, path: null as never })],
    ['a name', () => connect(443, 'registry.example.net')],
    ['a name that begins like loopback', () => connect(443, '127.0.0.1.example.net')],
    ['IPv6', () => connect(443, '2001:db8::1')],
    ['an IPv4 address in IPv6', () => connect(443, `::ffff:${far}`)],
    ['any address', () => connect(443, '0.0.0.0')],
    ['TLS', () => connectTls({ host: far, port: 443 })],
    ['node:http', () => sent(() => httpGet(`http://${far}/`))],
    ['node:https', () => sent(() => httpsGet(`https://${far}/`))],
    ['a datagram', () => datagram(socket => socket.send('wake up', 9, '192.0.2.255'))],
    ['datagrams to one address', () => datagram(socket => socket.connect(9, far))],
    ['undici', () => request(`http://${far}/`)],
    ['undici over TLS by name', () => request('https://registry.example.net/')],
    ['fetch', () => fetch(`http://${far}/`, { dispatcher: new Agent() })],
    ['fetch of Node', () => globalThis.fetch(`http://${far}/`)],
    ['ssh2', () => new ssh2.Client().connect({ host: far, username: 'core', privateKey: key })],
    [
      'our own SSH',
      () => connectSsh({ name: 'far', address: far, port: 22, user: 'core', privateKey: key, pins: [] }),
    ],
    [
      'our own NAS client',
      () => {
        const access = { url: `https://${far}:5001`, fingerprint: 'sha256:00', signal: never }
        return connectSynology({
          ...access,
          account: async () => 'a',
          password: async () => 'b',
        }).reader.luns()
      },
    ],
  ]
  test.each(ways)('%s', async (_, attempt) => {
    expect(await outcome(attempt)).toBe('rehearsal-would-leave')
  })

  test('a check by HTTP says why it got no answer', async () => {
    const web = connectWeb()
    const { status, why } = await web.get({ url: `https://${far}/`, trust: { by: 'system' } }, never)
    expect(status).toBe(0)
    expect(why).toMatch(/a rehearsal tried to connect to 192\.0\.2\.1/)
    await web.close()
  })

  test('loopback and socket files are at hand', async () => {
    const server = createServer(socket => socket.end()).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const reached = (socket: Socket) =>
      new Promise((resolve, reject) => {
        socket.once('connect', () => resolve(true)).once('error', reject)
      }).finally(() => socket.destroy())
    expect(await reached(connect(port, '127.0.0.1'))).toBe(true)
    expect(await reached(connect({ port, host: 'localhost', family: 4 }))).toBe(true)
    await expect(reached(connect(join(tmpdir(), 'no-such-socket')))).rejects.toThrow(/ENOENT/)
    server.close()
  })

  test('afterwards everything is as it was', async () => {
    leave()
    expect(await outcome(() => connect(22, far))).toBe('it was let through')
    leave = onlyLoopback()
  })
})

test('two rehearsals in one process: the first that ends does not open the way for the other', async () => {
  const other = onlyLoopback()
  leave()
  expect(await outcome(() => connect(22, far))).toBe('rehearsal-would-leave')
  other()
  expect(await outcome(() => connect(22, far))).toBe('it was let through')
  leave = onlyLoopback()
})

test('the program in k0sctl’s place stays on this machine, whatever its file says', context => {
  const folder = mkdtempSync(join(tmpdir(), 'recover-far-'))
  context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'key'), key, { mode: 0o600 })
  writeFileSync(join(folder, 'known_hosts'), '')
  const config = join(folder, 'k0sctl.yaml')
  writeFileSync(
    config,
    JSON.stringify({
      spec: { hosts: [{ role: 'single', ssh: { address: far, keyPath: join(folder, 'key') } }], k0s: {} },
    }),
  )
  const { status, stdout } = spawnSync(
    process.execPath,
    [labProgram('k0sctl'), 'apply', '--config', config],
    {
      encoding: 'utf8',
      timeout: 45_000,
      env: { HOME: folder, SSH_KNOWN_HOSTS: join(folder, 'known_hosts') },
    },
  )
  expect(status).toBe(1)
  expect(stdout).toContain(`a rehearsal tried to connect to ${far}`)
})
