import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { RedfishMachine } from '../../../src/hosts/power/redfish.ts'
import type { BmcQuirk } from '../../../src/lab/blueprint.ts'
import { byRedfish, labBmc, login } from './lab-bmc.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
const signal = AbortSignal.timeout(600_000)
/** For what never comes. */
const impatient = { patience: 0.003 }

async function connected(quirks: BmcQuirk[] = [], access: Partial<RedfishMachine> = {}) {
  const lab = await labBmc(quirks)
  closing.push(() => lab.close())
  const { writer: power, close } = byRedfish(lab, access)
  closing.push(close)
  return {
    ...lab,
    power,
    end: close,
    sessions: () => Object.keys(lab.world.read<{ sessions: object }>('bmc-lithium')!.sessions),
  }
}

describe('logging in', () => {
  test('one session serves everything and is ended; looking changes nothing', async () => {
    const { power, world, sessions, end } = await connected()
    await Promise.all([power.identity(signal), power.state(signal)])
    expect(sessions()).toHaveLength(1)
    await end()
    expect(sessions()).toEqual([])
    expect(world.mutations.hosts).toBe(0)
  })

  test('a session that is over is begun anew', async () => {
    const { power, world } = await connected()
    expect(await power.state(signal)).toBe('off')
    world.arm('bmc-session-expires', undefined)
    await power.turnOn(signal)
    expect(await power.state(signal)).toBe('on')
  })

  test('without a free session it goes with name and password each time', async () => {
    const { power, world, sessions } = await connected()
    world.arm('bmc-sessions-full', undefined, 100)
    expect(await power.state(signal)).toBe('off')
    expect(sessions()).toEqual([])
  })

  test.each<[string, BmcQuirk[]]>([
    ['with sessions', []],
    ['without', ['no-sessions']],
  ])('a wrong password is told and not tried again, %s', async (_, quirks) => {
    let asked = 0
    const password = async () => {
      asked += 1
      return 'not the password'
    }
    const { power } = await connected(quirks, { password })
    for (let i = 0; i < 3; i += 1)
      await expect(power.state(signal)).rejects.toMatchObject({
        code: 'power-login-refused',
        blame: 'operator',
        transient: false,
        message: expect.not.stringContaining('not the password'),
      })
    expect(asked).toBe(1)
  })

  test('another certificate than the pinned one gets nothing at all', async () => {
    const asked = async () => {
      throw new Error('nobody may ask for it')
    }
    const fingerprint = `sha256:${'0'.repeat(64)}`
    const { power, bmc } = await connected([], { fingerprint, username: asked, password: asked })
    await expect(power.state(signal)).rejects.toMatchObject({
      code: 'power-certificate-differs',
      message: expect.stringContaining(bmc.fingerprint),
    })
  })
})

describe('who does not answer', () => {
  test('refuses the connection', async () => {
    const { power, close } = await connected()
    await close()
    await expect(power.state(signal)).rejects.toMatchObject({ code: 'power-unreachable', transient: true })
  })

  test('takes the connection and says nothing: bounded', async () => {
    const { power } = await connected([], { url: await silence(), requestTimeoutMs: 200 })
    const began = performance.now()
    await expect(power.turnOn(signal)).rejects.toMatchObject({ code: 'power-unreachable' })
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  test('is left at once when the run stops', async () => {
    const { power } = await connected([], { url: await silence() })
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(power.state(stop.signal)).rejects.toThrow('enough')
  })

  test('drops a connection now and then: a look is repeated', async () => {
    const { power, world } = await connected()
    await power.state(signal)
    world.arm('bmc-away', undefined)
    expect(await power.state(signal)).toBe('off')
  })

  test('drops the line at the order itself: what counts is what the machine does', async () => {
    const { power, world, machine } = await connected()
    world.arm('bmc-answer-lost', undefined)
    await power.turnOn(signal)
    expect(machine.on()).toBe(true)
    expect(world.mutations.hosts).toBe(1)
    world.arm('bmc-answer-lost', undefined)
    await power.insertMedia('http://127.0.0.1:9/x.iso', signal)
    expect(machine.media()).toBe('http://127.0.0.1:9/x.iso')
  })

  test('drops the line, and the order with it', async () => {
    const { power, world, machine } = await connected([], impatient)
    world.arm('bmc-answer-lost', undefined)
    world.arm('bmc-lies', undefined)
    await expect(power.turnOn(signal)).rejects.toMatchObject({ code: 'power-unreachable', transient: true })
    expect(machine.on()).toBe(false)
  })
})

describe('orders', () => {
  test('that are refused are told in the BMC’s own words', async () => {
    const { power, world } = await connected()
    world.arm('bmc-refuses', undefined, 100)
    await expect(power.turnOn(signal)).rejects.toMatchObject({
      code: 'power-refused',
      message: expect.stringContaining('insufficient privileges'),
    })
  })

  test('that are taken without effect are no success', async () => {
    const { power, world, machine } = await connected([], impatient)
    world.arm('bmc-lies', undefined)
    await expect(power.turnOn(signal)).rejects.toMatchObject({ code: 'power-without-effect' })
    world.arm('bmc-lies', undefined)
    await expect(power.bootNext('pxe', signal)).rejects.toMatchObject({
      code: 'power-without-effect',
      message: expect.stringContaining('None (Disabled)'),
    })
    expect(machine.on()).toBe(false)
  })

  test('whose task ends half way are no success', async () => {
    const { power, world } = await connected(['tasks'])
    world.arm('bmc-task-fails', undefined)
    await expect(power.turnOn(signal)).rejects.toMatchObject({
      code: 'power-refused',
      message: expect.stringContaining('Exception: The machine did not follow half way through.'),
    })
    await power.turnOn(signal)
  })

  test('to turn on a machine whose power fails at once are no success', async () => {
    const { power, world } = await connected([], impatient)
    world.arm('bmc-power-fails', undefined)
    await expect(power.turnOn(signal)).rejects.toMatchObject({
      code: 'power-without-effect',
      message: expect.stringContaining('the machine is off'),
    })
  })

  test('a BMC that says On whatever happens is found out by a restart', async () => {
    const { power, world } = await connected([], impatient)
    world.arm('bmc-says-on', undefined, 100)
    await power.turnOn(signal)
    await expect(power.restart(signal)).rejects.toMatchObject({
      code: expect.stringMatching(/^power-(?:without-effect|refused)$/),
    })
  })

  test('a graceful one that the system does not follow says so, and the hard one works', async () => {
    const { power, machine, world } = await connected([], impatient)
    machine.turnOn()
    world.arm('bmc-lies', undefined)
    await expect(power.turnOff('gracefully', signal)).rejects.toMatchObject({ code: 'power-without-effect' })
    await power.turnOff('now', signal)
    expect(machine.on()).toBe(false)
  })

  test('nothing is ordered that is so already', async () => {
    const { power, world, machine } = await connected()
    machine.turnOn()
    const before = world.mutations.hosts
    await power.turnOn(signal)
    await power.clearBootNext(signal)
    await power.ejectMedia(signal)
    expect(world.mutations.hosts).toBe(before)
  })
})

describe('the virtual drive', () => {
  test('that refuses says why', async () => {
    const { power, world } = await connected()
    world.arm('media-refused', undefined, 100)
    await expect(power.insertMedia('http://127.0.0.1:9/x.iso', signal)).rejects.toMatchObject({
      code: 'power-refused',
      message: expect.stringContaining('license'),
    })
  })

  test('may not be there', async () => {
    const { power } = await connected(['no-media'])
    await expect(power.insertMedia('http://127.0.0.1:9/x.iso', signal)).rejects.toMatchObject({
      code: 'power-not-offered',
    })
  })
})

describe('several machines behind one BMC', () => {
  test('none is touched unless one is named', async () => {
    const { power, world } = await connected(['two-systems'])
    await expect(power.turnOn(signal)).rejects.toMatchObject({
      code: 'power-machine-ambiguous',
      message: expect.stringMatching(/serves 2 machines .* 0 of them fit/),
    })
    expect(world.mutations.hosts).toBe(0)
  })

  test('a serial that both report is not enough', async () => {
    const { power, host } = await connected(['two-systems'], { machine: 'M-LITHIUM' })
    expect(host.machineSerial).toBe('M-LITHIUM')
    await expect(power.state(signal)).rejects.toMatchObject({ code: 'power-machine-ambiguous' })
  })

  test.each<[string, (lab: Awaited<ReturnType<typeof labBmc>>) => Partial<RedfishMachine>]>([
    ['its UUID', lab => ({ machine: lab.identity.uuid })],
    ['its MAC address', lab => ({ mac: lab.host.mac })],
    ['its name', () => ({ machine: '1' })],
  ])('%s chooses it', async (_, naming) => {
    const lab = await labBmc(['two-systems'])
    closing.push(() => lab.close())
    const { writer, close } = byRedfish(lab, naming(lab))
    closing.push(close)
    await writer.turnOn(signal)
    expect(lab.machine.on()).toBe(true)
  })
})

/** What answers in the place of a BMC; undefined is no such page. */
async function answering(page: (path: string) => string | undefined) {
  const { createServer: createHttps } = await import('node:https')
  const { openPki } = await import('../../../src/lab/pki.ts')
  const lab = await labBmc()
  closing.push(() => lab.close())
  const identity = (await openPki(lab.world, ['page'], [])).server('page')
  const server = createHttps({ cert: identity.certificate, key: identity.key }, (request, response) => {
    const text = page(request.url ?? '')
    response.writeHead(text === undefined ? 404 : 200).end(text ?? '{}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  const { port } = server.address() as AddressInfo
  const { writer, close } = byRedfish(lab, {
    url: `https://127.0.0.1:${port}`,
    fingerprint: identity.fingerprint,
  })
  closing.push(close)
  return writer
}

test('what is no Redfish at all is told', async () => {
  const writer = await answering(() => '<html>Welcome</html>')
  await expect(writer.state(signal)).rejects.toMatchObject({
    code: 'power-not-redfish',
    message: expect.stringContaining('Welcome'),
  })
})

describe('a BMC that has other forms than Redfish’s', () => {
  const machine = '/redfish/v1/Systems/1'
  const pages: Record<string, object> = {
    '/redfish/v1/': { Systems: { '@odata.id': '/redfish/v1/Systems' } },
    // One where a list is due.
    '/redfish/v1/Systems': { Members: { '@odata.id': machine } },
    [machine]: {
      PowerState: 'On',
      SerialNumber: 'S4711',
      EthernetInterfaces: { '@odata.id': '/nics' },
      Links: { ManagedBy: 5 },
      VirtualMedia: { '@odata.id': '/drives' },
    },
    '/nics': { Members: [null, 'x', { MACAddress: '52-54-00-00-00-31' }] },
    '/drives': { Members: [{ '@odata.id': '/drives/1' }] },
    '/drives/1': { MediaTypes: 'Floppy' },
  }
  const from = (more: Record<string, object> = {}) =>
    answering(path => {
      const page = { ...pages, ...more }[path]
      return page && JSON.stringify(page)
    })

  test('is understood as far as that goes, and what it lacks is told', async () => {
    const writer = await from()
    expect(await writer.state(signal)).toBe('on')
    expect(await writer.identity(signal)).toEqual({ serial: 'S4711', macs: ['52:54:00:00:00:31'] })
    await expect(writer.insertMedia('http://192.0.2.5/a.iso', signal)).rejects.toMatchObject({
      code: 'power-not-offered',
      message: expect.stringContaining('none of its virtual drives takes a CD'),
    })
  })

  test('whose addresses are none does not speak Redfish', async () => {
    const writer = await from({ '/redfish/v1/Systems': { Members: [{ '@odata.id': '//' }] } })
    await expect(writer.state(signal)).rejects.toMatchObject({ code: 'power-not-redfish' })
  })
})

test('the password is in no message', async () => {
  const { power, world } = await connected()
  world.arm('bmc-refuses', undefined, 100)
  const failure = await power.turnOn(signal).catch((e: unknown) => e)
  expect(JSON.stringify(failure)).not.toContain(login.password)
})

/** Takes connections and never says a word. */
async function silence(): Promise<string> {
  const server: Server = createServer(socket => closing.push(() => socket.destroy()))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => server.close())
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}
