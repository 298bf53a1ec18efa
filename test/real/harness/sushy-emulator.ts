import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { openPki } from '../../../src/lab/pki.ts'
import { World } from '../../../src/lab/world.ts'
import { smallBlueprint } from '../../lab/small-world.ts'
import { runWith, until } from './commands.ts'

/** A Redfish BMC by OpenStack's sushy-tools, of two machines that are nothing. */
export interface SushyEmulator {
  url: string
  fingerprint: string
  account: string
  password: string
  uuid: string
  mac: string
  /** An image that its virtual drive can fetch. */
  image: string
  /** What it says of a path, asked without any code of ours. */
  look(path: string): Promise<Record<string, unknown>>
  stop(): Promise<void>
}

/** Starts `sushy-emulator --fake` over HTTPS with name and password. It has no sessions. */
export async function startSushy(python: string, folder: string, address: string): Promise<SushyEmulator> {
  mkdirSync(folder, { recursive: true })
  const world = World.create(join(folder, 'pki'), smallBlueprint({ address }))
  const identity = (await openPki(world, ['bmc'], [])).server('bmc')
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const login = { account: 'admin', password: 'secret of a BMC' }
  const hash = 'import bcrypt,sys; print(bcrypt.hashpw(sys.stdin.buffer.read(), bcrypt.gensalt(4)).decode())'
  const hashed = runWith({ input: login.password }, python, '-c', hash).trim()
  const uuid = '7d3a0b2c-9e44-4fa7-8e91-f3527a1ef094'
  const mac = '00:5c:52:31:3a:9c'
  const machine = (uuid: string, name: string, mac: string) => ({
    uuid,
    name,
    power_state: 'Off',
    external_notifier: false,
    nics: [{ mac, ip: '192.0.2.9' }],
  })
  const machines = [
    machine(uuid, 'lithium', mac),
    machine(uuid.replace('7', '8'), 'other', '00:5c:52:31:3a:9d'),
  ]
  const port = 8000
  const config = file(
    'sushy.conf',
    `import json
SUSHY_EMULATOR_STATE_DIR = ${JSON.stringify(folder)}
SUSHY_EMULATOR_AUTH_FILE = ${JSON.stringify(file('auth', `${login.account}:${hashed.replace(/^\$2b/, '$2y')}\n`))}
SUSHY_EMULATOR_FAKE_SYSTEMS = json.loads(${JSON.stringify(JSON.stringify(machines))})
`,
  )
  const child = spawn(
    python,
    [
      '-c',
      // Its machines take up to eleven seconds, at random, to do what they are told; one is enough to be waited for.
      'import random; random.randint = lambda a, b: a; from sushy_tools.emulator.main import main; main()',
      ...['--fake', '--config', config, '--interface', address, '--port', String(port)],
      ...[
        '--ssl-certificate',
        file('certificate', identity.certificate),
        '--ssl-key',
        file('key', identity.key),
      ],
    ],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      said = (said + chunk).slice(-4_000)
    })
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()))
  const images = createServer((_, response) => response.end('not really an image'))
  await new Promise<void>(resolve => images.listen(8001, address, resolve))
  const url = `https://${address}:${port}`
  const agent = new Agent({ connect: { rejectUnauthorized: false } })
  const authorization = `Basic ${Buffer.from(`${login.account}:${login.password}`).toString('base64')}`
  const look = async (path: string) => {
    const { body } = await request(`${url}${path}`, { dispatcher: agent, headers: { authorization } })
    return (await body.json()) as Record<string, unknown>
  }
  await until(`sushy-emulator at ${url}`, 180_000, () => look('/redfish/v1/'), {
    dead: () => (child.exitCode === null ? undefined : `it ended: ${said}`),
  })
  return {
    url,
    fingerprint: identity.fingerprint,
    ...login,
    uuid,
    mac,
    image: `http://${address}:8001/installer.iso`,
    look,
    async stop() {
      child.kill('SIGKILL')
      await gone
      images.closeAllConnections()
      images.close()
      await agent.close()
    },
  }
}
