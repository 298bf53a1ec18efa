import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BareMachine,
  during,
  installed,
  makeBareMachine,
  minutes,
  proven,
} from './harness/bare-machine.ts'
import { startIpmiBmc } from './harness/bmc.ts'
import { makeHome } from './harness/home.ts'
import { describeReal } from './harness/place.ts'
import { hashOf } from './harness/virtual-machine.ts'

describeReal('an installation whose recover is killed', () => {
  let bare: BareMachine

  beforeAll(async () => {
    bare = await makeBareMachine('helium')
  })
  afterAll(async () => {
    await bare?.close()
  })

  test(
    'kill -9 while the disk is written: resumed, finished, proven',
    async () => {
      const { machine } = bare
      const by = await bare.attach(startIpmiBmc)
      const before = hashOf(machine.disks[1]!)
      const home = await makeHome(bare, { trust: 'signature', install: ['pxe'], by })
      const first = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      await during('the disk to be written', first, () => bare.written() > 40 << 20, 12 * minutes)
      first.kill()
      await first.ended
      expect(proven(home)).toBeUndefined()
      const second = home.recover('resume')
      const facts = await installed(bare, home, second)
      expect(facts.run?.host).toBe(machine.name)
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    25 * minutes,
  )
})
