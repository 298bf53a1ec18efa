import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BareMachine,
  during,
  installed,
  makeBareMachine,
  minutes,
  notes,
} from './harness/bare-machine.ts'
import { startIpmiBmc } from './harness/bmc.ts'
import { makeHome } from './harness/home.ts'
import { describeReal } from './harness/place.ts'
import { hashOf } from './harness/virtual-machine.ts'

// A firmware of its own kind (OVMF): it brings its network boot itself, takes iPXE by TFTP from beside the router's DHCP,
// remembers what it boots, and starts the new system from the EFI system partition of its disk.
describeReal('a machine with UEFI', () => {
  let bare: BareMachine

  beforeAll(async () => {
    bare = await makeBareMachine('beryllium', { firmware: 'uefi' })
  })
  afterAll(async () => {
    await bare?.close()
  })

  test(
    'switched on by IPMI to boot the network, the line cut while the disk is written: found again, finished, proven',
    async () => {
      const { machine } = bare
      const before = hashOf(machine.disks[1]!)
      const by = await bare.attach(startIpmiBmc)
      // The image lies on the machine: what writes it goes on without us.
      const home = await makeHome(bare, { trust: 'hash', install: ['pxe'], by })
      const program = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the disk to be written', program, () => bare.written() > 40 << 20, 25 * minutes)
      await bare.cutLine()
      const facts = await installed(bare, home, program)
      expect(machine.orders()).toContain('set boot pxe')
      expect(notes(home)).toContain(`found the installation on ${machine.name} that was begun before`)
      expect(facts).toMatchObject({ uefi: true, rootFileSystem: 'ext4', run: { host: machine.name } })
      const disk = facts.disks.find(d => d.boot)!
      expect(disk.serial).toBe(machine.disks[0]!.serial)
      expect(disk.children.map(c => c.partLabel)).toEqual(['EFI-SYSTEM', 'OEM', 'ROOT'])
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    60 * minutes,
  )

  test(
    'without a BMC: efibootmgr on the system that runs has the firmware boot the network once',
    async () => {
      const { machine } = bare
      const [old, orders] = [await bare.look(), machine.orders()]
      const home = await makeHome(bare, { trust: 'signature', install: ['pxe'] })
      const facts = await installed(bare, home, home.recover('cluster', '--from-scratch', '--only', 'hosts'))
      expect(facts).toMatchObject({ uefi: true, rootFileSystem: 'ext4', run: { host: machine.name } })
      expect(facts.run?.run).not.toBe(old.run?.run)
      expect(notes(home)).toContainEqual(
        expect.stringMatching(/^the firmware of beryllium boots entry [0-9A-F]{4} next$/),
      )
      // The machine did all of it by itself.
      expect(machine.orders().filter(o => /power|reset|boot/.test(o))).toEqual(
        orders.filter(o => /power|reset|boot/.test(o)),
      )
    },
    60 * minutes,
  )
})
