import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BareMachine, installed, makeBareMachine, minutes } from './harness/bare-machine.ts'
import { type Switch, startIpmiBmc } from './harness/bmc.ts'
import { makeHome } from './harness/home.ts'
import { describeReal } from './harness/place.ts'
import { hashOf } from './harness/virtual-machine.ts'

// As by-network, without anything that goes wrong, over a system that was left on the disk.
describeReal('from a machine that is off, with data on its disk, to its new system', () => {
  let bare: BareMachine
  let bmc: Switch

  beforeAll(async () => {
    bare = await makeBareMachine('neon')
    bmc = await bare.attach(startIpmiBmc)
  })
  afterAll(async () => {
    await bare?.close()
  })

  test(
    'neither cut nor killed, from a disk that holds an old system which nobody can ask: what is on it is asked for by name',
    async () => {
      const { machine } = bare
      bare.leave({
        'var/lib/k0s/db/state.db': 'all that the API knew',
        'opt/local-path-provisioner/pvc-1_media_photos/picture': 'a picture',
      })
      const before = hashOf(machine.disks[1]!)
      const home = await makeHome(bare, { trust: 'signature', install: ['pxe'], by: bmc })
      const program = home.recover('cluster', '--from-scratch', '--only', 'hosts')
      const facts = await installed(bare, home, program)
      expect(machine.orders()).toContain('set boot pxe')
      const agreed = home.journal().flatMap(r => (r.kind === 'consent' ? r.victims : []))
      expect(agreed.map(v => `${v.kind} ${v.name}`)).toEqual([
        `disk ${machine.name} ${machine.disks[0]!.serial}`,
        `data ${machine.name} /opt/local-path-provisioner`,
        `data ${machine.name} /var/lib/k0s/db`,
      ])
      expect(agreed[0]?.content).toEqual(['whole disk: ext4 old'])
      expect(agreed[1]?.content).toEqual(['pvc-1_media_photos'])
      expect(facts).toMatchObject({ rootFileSystem: 'ext4', run: { host: machine.name } })
      expect(facts.disks.find(d => d.boot)?.serial).toBe(machine.disks[0]!.serial)
      expect(hashOf(machine.disks[1]!)).toBe(before)
    },
    60 * minutes,
  )
})
