import ssh2 from 'ssh2'
import { afterEach, describe, expect, test } from 'vitest'
import { hostWriter } from '../../src/hosts/host.ts'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { keepLines, type LinesOptions } from '../../src/hosts/line.ts'
import type { SshAccess } from '../../src/hosts/ssh.ts'
import { MachinesEmulator } from '../../src/lab/hosts/emulator.ts'
import { World } from '../../src/lab/world.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'
import { blackHole } from './black-hole.ts'
import { gateTo } from './gate.ts'

const operator = mintHostKey(Buffer.from('the person'), 'operator')
const wrong = mintHostKey(Buffer.from('another machine'), 'x').publicKey
const never = new AbortController().signal
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function home(options: LinesOptions = { pace: 0.02 }) {
  const world = World.create(scratch('line'), smallBlueprint())
  const emulator = new MachinesEmulator(world, operator.publicKey, () => undefined)
  const { lithium = 0 } = await emulator.listen()
  const gate = await gateTo(lithium)
  const lines = keepLines(options)
  closing.push(
    () => emulator.close(),
    () => gate.close(),
    () => lines.close(),
  )
  const machine = emulator.machine('lithium')
  const access = (pins: SshAccess['pins'] = [hostKeyOf(machine.state.hostKey)]): SshAccess => ({
    name: 'lithium',
    address: '127.0.0.1',
    port: gate.port,
    user: 'core',
    privateKey: operator.privateKey,
    pins,
  })
  return { world, machine, gate, lines, access }
}

function hostKeyOf(privateKey: string): string {
  const key = ssh2.utils.parseKey(privateKey)
  if (key instanceof Error) throw key
  return `${key.type} ${key.getPublicSSH().toString('base64')}`
}

describe('one line is kept to a machine', () => {
  test('looking, probing and changing share it, also at the same moment', async () => {
    const { gate, lines, access } = await home()
    const say = (pins?: SshAccess['pins']) =>
      lines.use(access(pins), never, async ssh => (await ssh.run('hostname')).stdout)
    expect(await Promise.all([say(), say('first-use'), say(), lines.probe(access(), never)])).toMatchObject([
      'localhost\n',
      'localhost\n',
      'localhost\n',
      { state: 'answers' },
    ])
    for (let i = 0; i < 10; i += 1) await say()
    expect(gate.came).toBe(1)
  })

  test('it is no way around the host key: who expects another one gets no command through', async () => {
    const { gate, lines, access } = await home()
    await lines.use(access('first-use'), never, ssh => ssh.run('true'))
    let ran = false
    await expect(
      lines.use(access([wrong]), never, async () => {
        ran = true
      }),
    ).rejects.toMatchObject({ code: 'host-key-mismatch' })
    expect(ran).toBe(false)
    expect(await lines.probe(access([wrong]), never)).toMatchObject({ state: 'other-key' })
    expect(gate.came).toBe(1)
  })

  test('one that died meanwhile is opened again; looking is repeated, changing is not', async () => {
    const { gate, lines, access } = await home()
    const use = (again: boolean, before = () => {}) =>
      lines.use(
        access(),
        never,
        async ssh => {
          before()
          return (await ssh.run('hostname')).code
        },
        again,
      )
    await use(false)
    gate.cut()
    expect(await use(false)).toBe(0)
    expect(gate.came).toBe(2)
    let cuts = 1
    const cutOnce = () => {
      if (cuts-- > 0) gate.cut()
    }
    expect(await use(true, cutOnce)).toBe(0)
    cuts = 1
    await expect(use(false, cutOnce)).rejects.toMatchObject({ code: 'host-line-lost', transient: true })
  })

  test('a machine that was exchanged behind a dead line is not taken for the old one', async () => {
    const { gate, lines, access, machine } = await home()
    const old = access()
    await lines.use(old, never, ssh => ssh.run('true'))
    // The line stays open and says nothing, as when power was cut.
    gate.mode = 'hold'
    machine.state.hostKey = mintHostKey(Buffer.from('exchanged'), 'lithium').privateKey
    const probing = lines.probe(old, never)
    setTimeout(() => {
      gate.cut()
      gate.mode = 'open'
    }, 200)
    expect(await probing).toMatchObject({ state: 'other-key' })
  })

  test('a reboot drops it, and the next look sees the new boot', async () => {
    const { gate, lines, access, machine } = await home()
    const before = machine.state.bootId
    machine.state.disks[0]!.system = 'old-os'
    await lines.use(access(), never, ssh => hostWriter(access(), ssh).reboot())
    const facts = await lines.use(access('first-use'), never, ssh =>
      hostWriter(access('first-use'), ssh).facts(),
    )
    expect(facts.bootId).not.toBe(before)
    expect(gate.came).toBe(2)
  })

  test('closing ends it, and nothing is opened afterwards', async () => {
    const { gate, lines, access } = await home()
    let closed: Promise<void> | undefined
    await lines.use(access(), never, async ssh => {
      closed = ssh.closed
    })
    await lines.close()
    await closed
    await expect(lines.use(access(), never, ssh => ssh.run('true'))).rejects.toThrow('closed')
    expect(gate.came).toBe(1)
  })
})

describe('new connections are few', () => {
  test('after a burst they keep a distance', async () => {
    // Six in a minute are one in ten seconds; at this pace, one in a hundred milliseconds.
    const { gate, lines, access } = await home({ gentleness: { burst: 2, perMinute: 6 }, pace: 0.01 })
    const began = performance.now()
    for (let i = 0; i < 6; i += 1) {
      await lines.use(access(), never, ssh => ssh.run('true'))
      gate.cut()
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    expect(gate.came).toBe(6)
    expect(performance.now() - began).toBeGreaterThan(380)
  })

  test('a person who stops does not wait for the next turn', async () => {
    const { gate, lines, access } = await home({ gentleness: { burst: 1, perMinute: 1 }, pace: 1 })
    await lines.use(access(), never, ssh => ssh.run('true'))
    gate.cut()
    const stop = AbortSignal.timeout(100)
    await expect(lines.use(access(), stop, ssh => ssh.run('true'))).rejects.toThrow('aborted due to timeout')
  })

  test('a machine that drops connections for a while is busy, not dead: it is left alone and asked again', async () => {
    const { gate, lines, access } = await home()
    gate.mode = 'drop'
    const dropping = setInterval(() => {
      if (gate.came === 0) return
      clearInterval(dropping)
      gate.mode = 'open'
    }, 100)
    expect(await lines.probe(access(), never)).toMatchObject({ state: 'answers' })
    expect(gate.came).toBeGreaterThan(1)
    expect(gate.came).toBeLessThan(5)
  })

  test('one that goes on dropping them is throttled; it is never called unreachable', async () => {
    const { gate, lines, access } = await home()
    gate.mode = 'drop'
    expect(await lines.probe(access(), never)).toEqual({ state: 'throttled' })
    await expect(lines.use(access(), never, ssh => ssh.run('true'))).rejects.toMatchObject({
      code: 'ssh-throttled',
      transient: true,
    })
  })
})

describe('a machine that says nothing is found out once', () => {
  test('whoever asks at the same moment, or right afterwards, waits for the same silence', async () => {
    // Right afterwards is half a second, however busy this computer is.
    const { gate, lines, access } = await home({ pace: 0.1 })
    gate.mode = 'drop'
    const look = () => lines.use(access(), never, ssh => ssh.run('true')).catch(thrown => thrown.code)
    const probe = () => lines.probe(access(), never)
    expect(await Promise.all([look(), probe(), look(), probe()])).toEqual([
      'ssh-throttled',
      { state: 'throttled' },
      'ssh-throttled',
      { state: 'throttled' },
    ])
    const came = gate.came
    expect(came).toBe(3)
    expect(await probe()).toEqual({ state: 'throttled' })
    expect(gate.came).toBe(came)
  })

  test('what was found out does not last: a machine that came up meanwhile answers', async () => {
    const { gate, lines, access } = await home()
    gate.mode = 'drop'
    expect(await lines.probe(access(), never)).toEqual({ state: 'throttled' })
    gate.mode = 'open'
    await expect
      .poll(() => lines.probe(access(), never), { timeout: 5_000 })
      .toMatchObject({ state: 'answers' })
  })

  test('a login that is refused is not shared: another key may do', async () => {
    const { lines, access } = await home()
    const stranger = mintHostKey(Buffer.from('the person'), 'stranger').privateKey
    const [refused, accepted] = await Promise.all([
      lines.probe({ ...access(), privateKey: stranger }, never),
      lines.probe(access(), never),
    ])
    expect(refused).toEqual({ state: 'refused-login' })
    expect(accepted).toMatchObject({ state: 'answers' })
  })

  test('one whose BMC says that it is off is not waited for', async () => {
    const hole = await blackHole()
    const asked: string[] = []
    const off = async (name: string) => asked.push(name) > 0
    const { lines, access } = await home({ pace: 0.02, promptMs: 50, off })
    closing.unshift(() => hole.close())
    const looking = lines.use({ ...access(), port: hole.port }, never, ssh => ssh.run('true'))
    await expect(looking).rejects.toMatchObject({
      code: 'host-off',
      message: expect.stringContaining('its BMC says that it is off'),
    })
    expect(asked).toEqual(['lithium'])
  })

  test('a BMC that lies does not hide a machine that takes connections, however slow it is', async () => {
    const { gate, lines, access } = await home({
      pace: 0.02,
      promptMs: 10,
      // It answers once the machine has taken the connection, and this side knows.
      async off() {
        while (gate.came === 0) await new Promise(setImmediate)
        await new Promise(resolve => setTimeout(resolve, 20))
        return true
      },
    })
    gate.mode = 'hold'
    const probing = lines.probe(access(), never)
    setTimeout(() => {
      gate.mode = 'open'
    }, 150)
    expect(await probing).toMatchObject({ state: 'answers' })
  })
})
