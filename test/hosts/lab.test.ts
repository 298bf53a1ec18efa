import { mintHostKey } from '../../src/hosts/keys.ts'
import { MachinesEmulator } from '../../src/lab/hosts/emulator.ts'
import { World } from '../../src/lab/world.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'
import { hostContract } from './host-contract.ts'

hostContract('a machine of the lab', async () => {
  const blueprint = smallBlueprint()
  blueprint.hosts[0]!.begins = 'old-os'
  const person = mintHostKey(Buffer.from('the person'), 'operator')
  const world = World.create(scratch('facts'), blueprint)
  const emulator = new MachinesEmulator(world, person.publicKey, () => undefined)
  const { lithium } = await emulator.listen()
  const { state } = emulator.machine('lithium')
  return {
    access: {
      name: 'lithium',
      address: '127.0.0.1',
      port: lithium!,
      user: 'core',
      privateKey: person.privateKey,
      pins: 'first-use',
    },
    hostname: 'lithium',
    mac: blueprint.hosts[0]!.mac,
    bootId: () => state.bootId,
    put(path, text) {
      state.files[path] = { text, mode: '0600' }
    },
    changes: () => world.mutations.hosts,
    bootAnother: async () => emulator.machine('lithium').insertStick(),
    close: () => emulator.close(),
  }
})
