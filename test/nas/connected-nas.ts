import { onTestFinished } from 'vitest'
import type { Blueprint } from '../../src/lab/blueprint.ts'
import { openDisks } from '../../src/lab/nas/disks.ts'
import { NasEmulator } from '../../src/lab/nas/emulator.ts'
import { openPki } from '../../src/lab/pki.ts'
import { World } from '../../src/lab/world.ts'
import type { SynologyAccess } from '../../src/nas/synology/session.ts'
import { connectSynology } from '../../src/nas/synology/synology.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'

/** The lab's NAS with our client connected to it, both gone after the test. */
export async function connectedNas(...which: Parameters<typeof openNas>) {
  const { close, ...nas } = await openNas(...which)
  onTestFinished(close)
  return nas
}

/** The same for several tests, gone when it is closed. */
export async function openNas(
  change: (blueprint: Blueprint) => void = () => {},
  access: Partial<SynologyAccess> = {},
  before: (world: World) => void = () => {},
) {
  const blueprint = smallBlueprint()
  change(blueprint)
  const world = World.create(scratch('nas'), blueprint)
  before(world)
  const emulator = new NasEmulator(world, await openPki(world, ['nas'], []), await openDisks(world))
  const port = await emulator.listen()
  let logins = 0
  const whole: SynologyAccess = {
    url: `https://${world.address}:${port}`,
    fingerprint: emulator.fingerprint,
    account: async () => 'recover',
    password: async () => {
      logins += 1
      return 'correct horse battery'
    },
    pace: 0.001,
    ...access,
  }
  const client = connectSynology(whole)
  const lun = blueprint.nas.luns[0]!
  return {
    world,
    emulator,
    port,
    lun,
    access: whole,
    ...client,
    logins: () => logins,
    async close() {
      await client.close()
      await emulator.close()
    },
  }
}
