import { createSocket } from 'node:dgram'
import { expect, test } from 'vitest'
import { broadcastAddresses, connectWakeOnLan, magicPacket } from '../../../src/hosts/power/wake-on-lan.ts'
import { Switchboard } from '../../../src/lab/bmc/switchboard.ts'
import { MachinesEmulator } from '../../../src/lab/hosts/emulator.ts'
import { openPki } from '../../../src/lab/pki.ts'
import { World } from '../../../src/lab/world.ts'
import { smallBlueprint } from '../../lab/small-world.ts'
import { scratch } from '../../runbook/harness.ts'

const mac = '52:54:00:ab:cd:ef'
const where = `Wake-on-LAN for lithium (${mac})`
const signal = AbortSignal.timeout(600_000)

test('the packet is six times FF and sixteen times the address', () => {
  const packet = magicPacket(mac)
  expect(packet).toHaveLength(102)
  expect(packet.toString('hex')).toBe('ff'.repeat(6) + '525400abcdef'.repeat(16))
})

test('it goes to every network that this computer is in, and not to loopback', () => {
  const address = (address: string, netmask: string, internal = false) =>
    ({ address, netmask, internal, family: 'IPv4', mac: '', cidr: null }) as const
  expect(
    broadcastAddresses({
      lo: [address('127.0.0.1', '255.0.0.0', true)],
      eth0: [address('192.0.2.17', '255.255.255.0')],
      eth1: [address('10.1.2.3', '255.255.252.0')],
    }),
  ).toEqual(['192.0.2.255', '10.1.3.255', '255.255.255.255'])
  expect(broadcastAddresses({ lo: [address('127.0.0.1', '255.0.0.0', true)] })).toEqual([])
})

test('it arrives as a datagram', async () => {
  const ear = createSocket('udp4')
  await new Promise<void>(resolve => ear.bind(0, '127.0.0.1', resolve))
  const heard = new Promise<Buffer>(resolve => ear.once('message', resolve))
  const to = [{ address: '127.0.0.1', port: ear.address().port }]
  await connectWakeOnLan({ where, mac, to, pace: 0.01 }).writer.turnOn(signal)
  expect(await heard).toEqual(magicPacket(mac))
  ear.close()
})

test('it wakes the lab’s machine of that address, and is counted', async () => {
  const blueprint = smallBlueprint()
  const host = blueprint.hosts[0]!
  host.begins = 'off'
  host.power = { kind: 'wake-on-lan', mac }
  const world = World.create(scratch('wake'), blueprint)
  const machines = new MachinesEmulator(world, 'ssh-ed25519 AAAA', () => undefined)
  const board = new Switchboard(world, await openPki(world, [], []), name => machines.power(name))
  const endpoint = (await board.listen()).lithium!
  if (endpoint.kind !== 'wake-on-lan') throw new Error(endpoint.kind)
  const to = [{ address: endpoint.address, port: endpoint.port }]
  await connectWakeOnLan({ where, mac: '52:54:00:00:00:99', to, pace: 0.01 }).writer.turnOn(signal)
  await connectWakeOnLan({ where, mac, to, pace: 0.01 }).writer.turnOn(signal)
  await expect.poll(() => machines.power('lithium').on()).toBe(true)
  expect(world.lastMutations.filter(m => m.includes('woken'))).toHaveLength(1)
  await board.close()
})

test('nothing else can be done with it, and nobody is asked', async () => {
  const { writer } = connectWakeOnLan({ where, mac })
  expect(writer.can).toEqual({ turnOff: false, boot: [], media: false })
  expect(await writer.state(signal)).toBe('unknown')
  expect(await writer.identity(signal)).toEqual({ macs: [mac] })
  for (const refused of [
    writer.turnOff('now', signal),
    writer.restart(signal),
    writer.bootNext('pxe', signal),
  ])
    await expect(refused).rejects.toMatchObject({ code: 'power-not-offered' })
})

test('a packet that no network takes is a failure that may pass', async () => {
  const to = [{ address: '127.0.0.1', port: 0 }]
  await expect(connectWakeOnLan({ where, mac, to }).writer.turnOn(signal)).rejects.toMatchObject({
    code: 'power-packet-not-sent',
    transient: true,
  })
})
