import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BareMachine,
  during,
  installed,
  makeBareMachine,
  minutes,
  proven,
} from './harness/bare-machine.ts'
import { type Switch, startIpmiBmc } from './harness/bmc.ts'
import { run, until } from './harness/commands.ts'
import { imageVersion } from './harness/disk-image.ts'
import { makeHome } from './harness/home.ts'
import { describeReal } from './harness/place.ts'
import { hashOf } from './harness/virtual-machine.ts'

// From a machine that is off and blank to this run's system on the one disk that was named, by the program as a person
// types it: BMC, DHCP beside the router's, iPXE, an installer in memory, the image, Ignition, and the proof.
describeReal('from a machine that is off to its new system', () => {
  let bare: BareMachine
  let bmc: Switch

  beforeAll(async () => {
    bare = await makeBareMachine('lithium')
    bmc = await bare.attach(startIpmiBmc)
  })
  afterAll(async () => {
    await bare?.close()
  })

  test(
    'installed by its signed image, kill -9 while the disk is written: resumed, proven, and its other disk untouched',
    async () => {
      const { machine } = bare
      const before = hashOf(machine.disks[1]!)
      const home = await makeHome(bare, { trust: 'signature', install: ['pxe'], by: bmc })
      const first = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the disk to be written', first, () => bare.written() > 40 << 20, 25 * minutes)
      first.kill()
      await first.ended
      expect(proven(home)).toBeUndefined()
      const facts = await installed(bare, home, home.recover('resume'))
      expect(machine.orders()).toContain('set boot pxe')
      expect(facts).toMatchObject({ hostname: machine.name, rootFileSystem: 'ext4' })
      expect(facts.os).toMatchObject({ id: 'flatcar', version: imageVersion })
      expect(facts.disks.find(d => d.boot)?.serial).toBe(machine.disks[0]!.serial)
      expect(facts.run?.host).toBe(machine.name)
      // Held while the run was at work, and released at its end.
      expect(facts.units).toMatchObject({ 'update-engine': 'active', locksmithd: 'active' })
      expect(hashOf(machine.disks[1]!)).toBe(before)

      // Disarmed: a firmware that tries the network first gets no answer for it, and boots the disk.
      const { ipmi } = bmc.power
      const { username, password } = bmc.login!
      const how = ['-I', 'lanplus', '-C', '3', '-H', String(ipmi), '-U', username, '-P', password]
      for (const order of ['bootdev pxe', 'power cycle'])
        run('ipmitool', ...how, 'chassis', ...order.split(' '))
      const again = await until(
        'the disk to be booted',
        10 * minutes,
        async () => {
          const found = await bare.look()
          return found.bootId === facts.bootId ? undefined : found
        },
        { everyMs: 1000 },
      )
      expect(again.run).toEqual(facts.run)
      expect(again.rootFileSystem).toBe('ext4')
    },
    60 * minutes,
  )

  test(
    'the system that runs goes over to the installer by kexec, without its BMC; killed half way, resumed, another run’s',
    async () => {
      const { machine } = bare
      const [before, old, orders] = [hashOf(machine.disks[1]!), await bare.look(), machine.orders()]
      const home = await makeHome(bare, { trust: 'signature', install: ['kexec'] })
      const first = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      const printed = machine.console().length
      const goesOver = () => machine.console().length > printed
      await during('the machine to go over to another kernel', first, goesOver, 25 * minutes)
      first.kill()
      await first.ended
      expect(proven(home)).toBeUndefined()
      const facts = await installed(bare, home, home.recover('resume'))
      expect(facts.run?.run).not.toBe(old.run?.run)
      expect(facts.bootId).not.toBe(old.bootId)
      expect(facts.disks.find(d => d.boot)?.serial).toBe(machine.disks[0]!.serial)
      expect(machine.orders().filter(o => /power|reset/.test(o))).toEqual(
        orders.filter(o => /power|reset/.test(o)),
      )
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    60 * minutes,
  )
})
