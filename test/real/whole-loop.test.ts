import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectReader } from '../../src/hosts/host.ts'
import { probeSsh } from '../../src/hosts/ssh.ts'
import { run, until } from './harness/commands.ts'
import { imageVersion } from './harness/disk-image.ts'
import { type Home, makeHome, type Started } from './harness/home.ts'
import { type Login, makeLogin } from './harness/login.ts'
import { type Network, openNetwork } from './harness/network.ts'
import { describeReal } from './harness/place.ts'
import { type Router, startRouter } from './harness/router.ts'
import { hashOf, makeVirtualMachine, type VirtualMachine } from './harness/virtual-machine.ts'

const minutes = 60_000

// From a machine that is off and blank to this run's system on the one disk that was named, by the program as a person
// types it: BMC, DHCP beside the router's, iPXE, an installer in memory, the image, Ignition, and the proof.
describeReal('from a machine that is off to its new system', () => {
  let network: Network
  let router: Router
  let login: Login
  const machines: VirtualMachine[] = []

  beforeAll(async () => {
    network = openNetwork()
    login = makeLogin()
    const numbers = [21, 22, 23]
    for (const number of numbers) {
      const machine = await makeVirtualMachine(network, {
        name: `metal${number}`,
        number,
        disks: [
          { serial: `NAMED${number}`, megabytes: 600 },
          { serial: `OTHER${number}`, megabytes: 64 },
        ],
      })
      run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'family', machine.disks[1]!.file)
      machines.push(machine)
    }
    router = await startRouter(network, machines)
  })
  afterAll(async () => {
    for (const machine of machines) await machine.close()
    await router?.close()
    network?.close()
  })

  const access = (machine: VirtualMachine) => ({
    name: machine.name,
    address: machine.address,
    port: 22,
    user: 'core',
    privateKey: login.private,
    pins: 'first-use' as const,
    connectTimeoutMs: 20_000,
  })
  const look = async (machine: VirtualMachine) => {
    const line = await connectReader(access(machine))
    try {
      return await line.host.facts()
    } finally {
      line.close()
    }
  }
  /** Bytes of the named disk that were written so far. */
  const written = (machine: VirtualMachine) => statSync(machine.disks[0]!.file).blocks * 512
  const installed = (home: Home) =>
    home.journal().find(r => r.kind === 'checkpoint' && r.step.startsWith('hosts/install-flatcar'))
  const notes = (home: Home) => home.journal().flatMap(r => (r.kind === 'note' ? [r.text] : []))
  /** Waits for a part of a run, and ends at once when the run does. */
  const during = async (what: string, program: Started, probe: () => unknown, limitMs: number) => {
    let end: number | string | undefined
    void program.ended.then(code => {
      end = code
    })
    await until(what, limitMs, () => probe() || undefined, {
      everyMs: 500,
      dead: () => (end === undefined ? undefined : `recover ended (${end}):\n${program.said().slice(-6000)}`),
    })
  }

  test(
    'installed by its signed image, proven, and its other disk untouched',
    async () => {
      const machine = machines[0]!
      const before = hashOf(machine.disks[1]!)
      const home = await makeHome(network, machine, login, 'signature')
      const program = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the system to be proven', program, () => installed(home), 12 * minutes)
      expect(await program.ended, program.said()).toBe(0)
      expect(machine.orders()).toContain('set boot pxe')
      const facts = await look(machine)
      expect(facts).toMatchObject({ hostname: machine.name, rootFileSystem: 'ext4' })
      expect(facts.os).toMatchObject({ id: 'flatcar', version: imageVersion })
      expect(facts.disks.find(d => d.boot)?.serial).toBe(machine.disks[0]!.serial)
      expect(facts.run?.host).toBe(machine.name)
      // Held while the run was at work, and released at its end.
      expect(facts.units).toMatchObject({ 'update-engine': 'active', locksmithd: 'active' })
      expect(hashOf(machine.disks[1]!)).toBe(before)

      // Disarmed: a firmware that tries the network first gets no answer for it, and boots the disk.
      const { address, username, password } = machine.bmc
      for (const order of ['bootdev pxe', 'power cycle'])
        run(
          'ipmitool',
          ...['-I', 'lanplus', '-C', '3', '-H', address, '-U', username, '-P', password, 'chassis'],
          ...order.split(' '),
        )
      const again = await until(
        'the disk to be booted',
        4 * minutes,
        async () => {
          const found = await look(machine)
          return found.bootId === facts.bootId ? undefined : found
        },
        { everyMs: 1000 },
      )
      expect(again.run).toEqual(facts.run)
      expect(again.rootFileSystem).toBe('ext4')
    },
    20 * minutes,
  )

  test(
    'the system that runs goes over to the installer by kexec, without its BMC, and becomes another run’s',
    async () => {
      const machine = machines[0]!
      const [before, old, orders] = [hashOf(machine.disks[1]!), await look(machine), machine.orders()]
      const home = await makeHome(network, machine, login, 'hash', ['kexec'])
      const program = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the system to be proven', program, () => installed(home), 12 * minutes)
      expect(await program.ended, program.said()).toBe(0)
      const facts = await look(machine)
      expect(facts.run?.run).not.toBe(old.run?.run)
      expect(facts.bootId).not.toBe(old.bootId)
      expect(facts.disks.find(d => d.boot)?.serial).toBe(machine.disks[0]!.serial)
      expect(machine.orders().filter(o => /power|reset/.test(o))).toEqual(
        orders.filter(o => /power|reset/.test(o)),
      )
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    20 * minutes,
  )

  test(
    'the line cut while the disk is written: found again, finished, proven',
    async () => {
      const machine = machines[1]!
      const before = hashOf(machine.disks[1]!)
      const home = await makeHome(network, machine, login, 'hash')
      const program = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the disk to be written', program, () => written(machine) > 40 << 20, 12 * minutes)
      machine.link('down')
      // Longer than a silent line is believed in.
      await sleep(50_000)
      machine.link('up')
      await during('the system to be proven', program, () => installed(home), 12 * minutes)
      expect(await program.ended, program.said()).toBe(0)
      expect(notes(home)).toContain(`found the installation on ${machine.name} that was begun before`)
      expect((await look(machine)).run?.host).toBe(machine.name)
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    20 * minutes,
  )

  test(
    'kill -9 while the disk is written: resumed, finished, proven',
    async () => {
      const machine = machines[2]!
      const before = hashOf(machine.disks[1]!)
      const home = await makeHome(network, machine, login, 'signature')
      const first = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the disk to be written', first, () => written(machine) > 40 << 20, 12 * minutes)
      first.kill()
      await first.ended
      expect(installed(home)).toBeUndefined()
      const second = home.recover('resume')
      await during('the system to be proven', second, () => installed(home), 12 * minutes)
      expect(await second.ended, second.said()).toBe(0)
      expect((await look(machine)).run?.host).toBe(machine.name)
      expect((await probeSsh(access(machine))).state).toBe('answers')
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    25 * minutes,
  )
})
