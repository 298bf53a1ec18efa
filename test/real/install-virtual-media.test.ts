import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BareMachine,
  during,
  installed,
  makeBareMachine,
  minutes,
  notes,
} from './harness/bare-machine.ts'
import { startRedfishBmc } from './harness/bmc.ts'
import { makeHome, toolText } from './harness/home.ts'
import { describeReal } from './harness/place.ts'
import { hashOf } from './harness/virtual-machine.ts'

// The lab's own Redfish service in front of a real machine: SeaBIOS and ISOLINUX read a CD in the shape of Flatcar's, block
// by block over HTTP from the process that is killed here, with this run's arguments in its boot loader's config.
describeReal('a machine whose BMC has a virtual drive', () => {
  let bare: BareMachine

  beforeAll(async () => {
    bare = await makeBareMachine('boron')
  })
  afterAll(async () => {
    await bare?.close()
  })

  test(
    'kill -9 while it reads the CD, the line cut while it writes: resumed, ejected, proven',
    async () => {
      const { machine } = bare
      const before = hashOf(machine.disks[1]!)
      const by = await bare.attach(startRedfishBmc)
      const home = await makeHome(bare, { trust: 'hash', install: ['virtual-media'], by })
      const first = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      const reads = () => machine.isOn() && machine.readFromCd() > 10 << 20
      await during('the CD to be read', first, reads, 25 * minutes)
      first.kill()
      await first.ended
      expect(machine.chassis('get', 'cd')).toContain('cd:http://')

      const second = home.recover('resume')
      await during('the disk to be written', second, () => bare.written() > 40 << 20, 25 * minutes)
      expect(machine.chassis('get', 'cd')).toBe('cd:\n')
      await bare.cutLine()
      const facts = await installed(bare, home, second)
      expect(facts.run?.host).toBe(machine.name)
      expect(facts.disks.find(d => d.boot)?.serial).toBe(machine.disks[0]!.serial)
      expect(machine.chassis('get', 'cd', 'boot')).toBe('cd:\nboot:none\n')
      // By Ignition's own engine, which compared its hash, on a machine that has no way to where it came from.
      expect(bare.ssh('cat /opt/tool')).toBe(toolText)
      expect(machine.orders()).toContain('set boot cdrom')
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    60 * minutes,
  )

  // What stands in for what: the image is Debian in Flatcar's shape, its flatcar-reset writes what Flatcar's writes (the
  // config to OEM, /selective-os-reset, first_boot), and its initramfs takes away all but the release and runs Ignition, as
  // Flatcar's does. Flatcar's own release lies on a partition of its own; here it is /usr and a copy of the rest.
  test(
    'flatcar-reset on the system that runs, killed and cut off as it reboots: begun anew on the same partitions, proven',
    async () => {
      const { machine } = bare
      const [old, before, orders] = [await bare.look(), hashOf(machine.disks[1]!), machine.orders()]
      const ssh = (script: string) => bare.ssh(script).trim()
      const identities = 'lsblk -no PARTUUID,UUID $(findmnt -no SOURCE /)'
      const root = ssh(`echo old >/var/lib/of-before; echo old >/home/core/mine; sync; ${identities}`)
      const home = await makeHome(bare, { trust: 'hash', install: ['flatcar-reset'] })
      const first = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      const begins = () => notes(home).includes('rebooting boron: it begins anew')
      await during('the reset to be staged', first, begins, 25 * minutes)
      first.kill()
      await first.ended
      machine.link('down')
      const second = home.recover('resume')
      // Nothing answers, and no way to install could be tried: it is waited for, since this run told it to reboot.
      const waits = () => /to answer again, which this run told/.test(second.said())
      await during('the machine to be waited for', second, waits, 15 * minutes)
      machine.link('up')
      const facts = await installed(bare, home, second)
      expect(facts.run).toMatchObject({ host: machine.name })
      expect(facts.run?.run).not.toBe(old.run?.run)
      expect(facts.bootId).not.toBe(old.bootId)
      expect(facts.rootFileSystem).toBe('ext4')
      expect(ssh(identities)).toBe(root)
      expect(ssh('ls /var/lib/of-before /home/core/mine /selective-os-reset 2>/dev/null | wc -l')).toBe('0')
      expect(ssh('wc -l </var/lib/first-boot')).toBe('1')
      expect(machine.orders()).toEqual(orders)
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    60 * minutes,
  )
})
