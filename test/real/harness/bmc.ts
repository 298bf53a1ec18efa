import { spawn } from 'node:child_process'
import { mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BmcEmulator } from '../../../src/lab/bmc/emulator.ts'
import { openPki } from '../../../src/lab/pki.ts'
import type { BootTarget, PowerSeam } from '../../../src/lab/seams.ts'
import { World } from '../../../src/lab/world.ts'
import { smallBlueprint } from '../../lab/small-world.ts'
import { run, until } from './commands.ts'
import { inNetworkOf, type Network } from './network.ts'
import { place } from './place.ts'
import type { VirtualMachine } from './virtual-machine.ts'

/** Whoever switches a machine, as a person's recover.yaml names it. */
export interface Switch {
  /** The host's `power` in recover.yaml. */
  power: Record<string, unknown>
  /** Of the secret `bmc` that it names; none for what asks for no name. */
  login?: { username: string; password: string }
  close(): Promise<void>
}

const login = { username: 'admin', password: 'not-told' }

/** An address of its own for each BMC, in the network of the machines. */
function bmcAddress(network: Network, machine: VirtualMachine): string {
  const address = network.address(100 + Number(machine.address.split('.').at(-1)))
  run('ip', 'address', 'add', `${address}/24`, 'dev', network.bridge)
  return address
}

/** OpenIPMI's simulator as the BMC of one machine: IPMI 2.0 over the network, for which the chassis presses the buttons. */
export async function startIpmiBmc(network: Network, machine: VirtualMachine): Promise<Switch> {
  const { uuid, firmware, chassisFile } = machine
  const { username, password } = login
  const address = bmcAddress(network, machine)
  const state = join(place().folder, `${network.bridge}-${machine.name}-bmc`)
  mkdirSync(state)
  const levels = ['callback', 'user', 'operator', 'admin']
  writeFileSync(
    join(state, 'lan.conf'),
    [
      'name "bmc"',
      'set_working_mc 0x20',
      '  startlan 1',
      `    addr ${address} 623`,
      '    priv_limit admin',
      ...levels.map(level => `    allowed_auths_${level} none md2 md5 straight`),
      `    guid ${uuid.replaceAll('-', '')}`,
      '  endlan',
      `  chassis_control "${chassisFile}"`,
      '  user 1 false "" "test" user 10 none md2 md5 straight',
      `  user 2 true "${username}" "${password}" admin 10 none md2 md5 straight`,
      '',
    ].join('\n'),
  )
  writeFileSync(
    join(state, 'sim.emu'),
    [
      'mc_setbmc 0x20',
      'mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr',
      'sel_enable 0x20 1000 0x0a',
      'mc_enable 0x20',
      '',
    ].join('\n'),
  )
  const log = openSync(join(state, 'log'), 'a')
  const simulator = spawn('ipmi_sim', ['-n', '-c', 'lan.conf', '-f', 'sim.emu', '-s', join(state, 'kept')], {
    cwd: state,
    stdio: ['ignore', log, log],
  })
  const ended = new Promise<void>(resolve => simulator.once('exit', () => resolve()))
  await until(
    'the BMC to answer',
    180_000,
    () => run('ipmitool', ...how(address, username, password), 'chassis', 'power', 'status') || undefined,
    { dead: () => (simulator.exitCode === null ? undefined : `ipmi_sim ended; see ${state}/log`) },
  )
  return {
    power: { ipmi: address, credentials: 'bmc', cipher: 3, firmware, machine: uuid },
    login,
    async close() {
      simulator.kill('SIGKILL')
      await ended
    },
  }
}

function how(address: string, user: string, password: string): string[] {
  return ['-I', 'lanplus', '-H', address, '-U', user, '-P', password, '-C', '3', '-N', '1', '-R', '3']
}

/**
 * The lab's Redfish service as the BMC of a real machine: what it is told to do the chassis does. The drive fetches its CD
 * block by block over HTTP while the machine reads it, as a BMC does.
 */
export async function startRedfishBmc(network: Network, machine: VirtualMachine): Promise<Switch> {
  const address = bmcAddress(network, machine)
  const { username, password } = login
  const folder = join(place().folder, `${network.bridge}-${machine.name}-bmc`)
  const world = World.create(folder, smallBlueprint({ address }))
  const identity = (await openPki(world, ['bmc'], [])).server('bmc')
  const bmc = new BmcEmulator(
    world,
    machine.name,
    { account: username, password },
    buttonsOf(machine),
    identity,
  )
  const port = await bmc.listen()
  return {
    power: {
      redfish: `https://${address}:${port}`,
      credentials: 'bmc',
      fingerprint: identity.fingerprint,
      machine: machine.uuid,
    },
    login,
    async close() {
      await bmc.close()
    },
  }
}

/** The chassis' own words for where to boot from, as ipmi_sim has them. */
const words: Record<BootTarget, string> = { pxe: 'pxe', cd: 'cdrom', disk: 'none' }

function buttonsOf({ name, uuid, mac, chassis, isOn, press }: VirtualMachine): PowerSeam {
  const get = (key: string) =>
    chassis('get', key)
      .trim()
      .slice(key.length + 1)
  return {
    identity: () => ({ serial: `${name.toUpperCase()}-1`, uuid, macs: [mac], model: 'QEMU PC' }),
    on: isOn,
    turnOn: () => press('on'),
    turnOff: () => press('off'),
    restart: () => void chassis('set', 'reset', '1'),
    bootOverride: () =>
      (Object.keys(words) as BootTarget[]).find(t => t !== 'disk' && words[t] === get('boot')),
    setBootOverride: target => void chassis('set', 'boot', target === undefined ? 'none' : words[target]),
    media: () => get('cd') || undefined,
    insertMedia: url => void chassis('set', 'cd', url),
    ejectMedia: () => void chassis('set', 'cd', ''),
  }
}

/**
 * An ear for the packet that wakes a machine. QEMU has no card that listens while its machine is off; here a program in a
 * network namespace of its own, on the same bridge, hears what the card would hear, and presses the button for its MAC
 * address. The packet is the real one, and has to arrive as a broadcast.
 * @param number last part of the ear's own address
 */
export function startEar(network: Network, machine: VirtualMachine, number: number): Pick<Switch, 'close'> {
  const name = `${network.bridge}-${machine.name}-ear`
  network.plug(name, network.address(number), `52:54:00:77:00:${number.toString(16)}`)
  const wanted = Buffer.concat([
    Buffer.alloc(6, 0xff),
    ...Array.from({ length: 16 }, () => Buffer.from(machine.mac.replaceAll(':', ''), 'hex')),
  ])
  const [program, ...within] = inNetworkOf(name)
  const ear = spawn(program, [...within, 'socat', '-u', 'UDP4-RECV:9', 'STDOUT'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // Once all that it heard was handed on.
  const ended = new Promise<void>(resolve => ear.once('close', () => resolve()))
  ear.stdout.on('data', (packet: Buffer) => {
    if (packet.includes(wanted) && !machine.isOn()) machine.press('on')
  })
  return {
    async close() {
      ear.kill('SIGKILL')
      await ended
    },
  }
}
