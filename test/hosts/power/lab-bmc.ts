import { connectIpmi } from '../../../src/hosts/power/ipmi.ts'
import type { IpmiAccess } from '../../../src/hosts/power/ipmitool.ts'
import { connectRedfish, type RedfishMachine } from '../../../src/hosts/power/redfish.ts'
import type { BmcQuirk } from '../../../src/lab/blueprint.ts'
import { BmcEmulator } from '../../../src/lab/bmc/emulator.ts'
import { bmcCertificate } from '../../../src/lab/bmc/switchboard.ts'
import { MachinesEmulator } from '../../../src/lab/hosts/emulator.ts'
import { openPki } from '../../../src/lab/pki.ts'
import { labProgram } from '../../../src/lab/programs.ts'
import { World } from '../../../src/lab/world.ts'
import { smallBlueprint } from '../../lab/small-world.ts'
import { scratch } from '../../runbook/harness.ts'
import type { PowerSubject } from './contract.ts'

export const login = { account: 'recover', password: 'correct horse' }

/** A machine of the lab that is off, with its BMC. */
export async function labBmc(quirks: BmcQuirk[] = []) {
  const blueprint = smallBlueprint()
  const host = blueprint.hosts[0]!
  host.begins = 'off'
  const world = World.create(scratch('bmc'), blueprint)
  const machines = new MachinesEmulator(world, 'ssh-ed25519 AAAA', () => undefined)
  const pki = await openPki(world, [bmcCertificate(host.name)], [])
  const machine = machines.power(host.name)
  const bmc = new BmcEmulator(
    world,
    host.name,
    { ...login, quirks },
    machine,
    pki.server(bmcCertificate(host.name)),
  )
  const port = await bmc.listen()
  return { world, host, machine, bmc, port, identity: machine.identity(), close: () => bmc.close() }
}

type LabBmc = Awaited<ReturnType<typeof labBmc>>

const quick = { pace: 0.002, patience: 0.02 }

export function byRedfish({ bmc, port }: LabBmc, access: Partial<RedfishMachine> = {}) {
  return connectRedfish({
    where: 'the BMC of lithium',
    url: `https://127.0.0.1:${port}`,
    fingerprint: bmc.fingerprint,
    username: async () => login.account,
    password: async () => login.password,
    ...quick,
    ...access,
  })
}

export function byIpmi({ port }: { port: number }, access: Partial<IpmiAccess> = {}) {
  return connectIpmi({
    where: 'the BMC of lithium',
    address: '127.0.0.1',
    port,
    username: async () => login.account,
    password: async () => login.password,
    command: [process.execPath, labProgram('ipmitool')],
    ...quick,
    patience: 0.2,
    ...access,
  })
}

/** The lab's stand-in for ipmitool as the contract's subject. */
export async function standInSubject(): Promise<PowerSubject> {
  const lab = await labBmc()
  const { writer, close } = byIpmi(lab)
  const { serial, uuid, model } = lab.identity
  return {
    power: writer,
    // As IPMI sends it: every byte in reverse.
    identity: { serial, uuid: reversed(uuid), macs: [], model },
    really: {
      on: () => lab.machine.on(),
      bootsFrom: () => lab.machine.bootOverride(),
      media: () => undefined,
    },
    words: { pxe: 'pxe', cd: 'cd', disk: 'disk' },
    lasts: 'once',
    close: async () => {
      await close()
      await lab.close()
    },
  }
}

function reversed(uuid: string): string {
  const bytes = uuid.replaceAll('-', '').match(/../g) ?? []
  return bytes
    .reverse()
    .join('')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
