import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BareMachine,
  during,
  installed,
  makeBareMachine,
  minutes,
  notes,
} from './harness/bare-machine.ts'
import { startEar } from './harness/bmc.ts'
import { makeHome } from './harness/home.ts'
import { describeReal } from './harness/place.ts'
import { hashOf } from './harness/virtual-machine.ts'

describeReal('an installation whose line is cut', () => {
  let bare: BareMachine

  beforeAll(async () => {
    bare = await makeBareMachine('hydrogen')
  })
  afterAll(async () => {
    await bare?.close()
  })

  test(
    'woken by a packet, the line cut while the disk is written: found again, finished, proven',
    async () => {
      const { machine } = bare
      const by = await bare.attach(startEar)
      const before = hashOf(machine.disks[1]!)
      const home = await makeHome(bare, { trust: 'hash', install: ['pxe'], by })
      const program = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the disk to be written', program, () => bare.written() > 40 << 20, 12 * minutes)
      machine.link('down')
      // Longer than a silent line is believed in.
      await sleep(50_000)
      machine.link('up')
      const facts = await installed(bare, home, program)
      expect(notes(home)).toContain(`found the installation on ${machine.name} that was begun before`)
      expect(facts.run?.host).toBe(machine.name)
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    20 * minutes,
  )
})
