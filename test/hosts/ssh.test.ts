import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { describe } from 'vitest'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { MachinesEmulator } from '../../src/lab/hosts/emulator.ts'
import { World } from '../../src/lab/world.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'
import { type AtEnd, type ContractHost, sshContract } from './ssh-contract.ts'

const friend = mintHostKey(Buffer.from('the person'), 'operator')
const stranger = mintHostKey(Buffer.from('the person'), 'stranger')

/** A machine of the lab. */
async function machine(login: ContractHost['login'], atEnd: AtEnd): Promise<ContractHost> {
  const world = World.create(scratch('ssh'), smallBlueprint())
  const emulator = new MachinesEmulator(world, friend.publicKey, () => undefined)
  const { lithium: port = 0 } = await emulator.listen()
  atEnd(() => emulator.close())
  return {
    port,
    login,
    hostKey: publicKeyOf(emulator.machine('lithium').state.hostKey),
    folder: '/tmp/contract',
    slow: 'sleep 2',
    commands: () => world.mutations.hosts,
  }
}

function publicKeyOf(privateKey: string): string {
  const key = ssh2.utils.parseKey(privateKey)
  if (key instanceof Error) throw key
  return `${key.type} ${key.getPublicSSH().toString('base64')}`
}

sshContract(
  'the built-in client with a machine of the lab',
  atEnd =>
    machine(who => ({ user: 'core', privateKey: (who === 'friend' ? friend : stranger).privateKey }), atEnd),
  { upload: 0, text: 200_000, together: true },
)

const program = spawnSync('ssh', ['-V']).status === 0
if (!program)
  process.stdout.write('skipped: OpenSSH with a machine of the lab: there is no program ssh here\n')
describe.skipIf(!program)('by the program ssh', () => {
  sshContract(
    'OpenSSH with a machine of the lab',
    atEnd =>
      machine(who => {
        const folder = scratch('openssh')
        const config = join(folder, 'config')
        const keyFile = join(folder, 'key')
        writeFileSync(config, 'Host *\n  IdentitiesOnly yes\n  IdentityAgent none\n')
        writeFileSync(keyFile, (who === 'friend' ? friend : stranger).privateKey, { mode: 0o600 })
        return { user: 'core', openssh: { config, keyFile } }
      }, atEnd),
    { upload: 0, text: 200_000, together: true },
  )
})
