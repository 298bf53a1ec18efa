import { createSocket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { Fault } from '../../runbook/fault.ts'
import { notOffered } from './faults.ts'
import type { PowerWriter } from './power.ts'
import { rest } from './until.ts'

export interface WakeOnLan {
  /** How messages call it: `Wake-on-LAN for lithium (52:54:00:12:34:56)`. */
  where: string
  mac: string
  /** Where the packet goes; the broadcast addresses of this computer's networks where nothing is said. */
  to?: readonly { address: string; port: number }[] | undefined
  /** Scales the time between two packets; 1 in real life. */
  pace?: number | undefined
}

// Both are in use: 9 is the usual one, 7 what older cards were taught.
const ports = [9, 7]

/** Six times FF, and the MAC address sixteen times. */
export function magicPacket(mac: string): Buffer {
  const address = Buffer.from(mac.replaceAll(/[:-]/g, ''), 'hex')
  if (address.length !== 6) throw new Error(`${mac} is not a MAC address`)
  return Buffer.concat([Buffer.alloc(6, 0xff), ...Array.from({ length: 16 }, () => address)])
}

/** Directed and limited broadcast addresses of every network that this computer is in; loopback is none. */
export function broadcastAddresses(interfaces = networkInterfaces()): string[] {
  const own = Object.values(interfaces)
    .flatMap(addresses => addresses ?? [])
    .filter(a => a.family === 'IPv4' && !a.internal)
    .map(({ address, netmask }) => {
      const mask = netmask.split('.').map(Number)
      return address
        .split('.')
        .map((byte, i) => Number(byte) | (~(mask[i] ?? 255) & 0xff))
        .join('.')
    })
  return own.length === 0 ? [] : [...new Set([...own, '255.255.255.255'])]
}

/**
 * A machine that a packet wakes, and nothing more: it cannot be asked, switched off, or told what to boot. `turnOn` comes
 * back when the packets are out; whether it woke shows when it answers.
 */
export function connectWakeOnLan(access: WakeOnLan): { writer: PowerWriter; close(): Promise<void> } {
  const { where, mac, pace = 1 } = access
  const cannot = (what: string) => async (): Promise<never> => {
    throw notOffered(where, what, 'a packet can only wake it')
  }
  const writer: PowerWriter = {
    kind: 'wake-on-lan',
    where,
    can: { turnOff: false, boot: [], media: false },
    async identity() {
      return { macs: [mac] }
    },
    async state() {
      return 'unknown'
    },
    async turnOn(signal) {
      const to = access.to ?? broadcastAddresses().flatMap(address => ports.map(port => ({ address, port })))
      if (to.length === 0) throw notSent(where, new Error('this computer is in no IPv4 network'))
      const packet = magicPacket(mac)
      // Thrice: nothing says whether one arrived.
      for (let i = 0; i < 3; i += 1) {
        if (i > 0) await rest(500 * pace, signal)
        signal.throwIfAborted()
        await send(packet, to, where)
      }
    },
    bootNext: cannot('choose what it boots'),
    clearBootNext: cannot('choose what it boots'),
    turnOff: cannot('switch it off'),
    restart: cannot('switch it off and on'),
    insertMedia: cannot('put an image into a virtual drive'),
    ejectMedia: cannot('take an image out of a virtual drive'),
  }
  return { writer, close: async () => {} }
}

/** One that gets out is enough: a computer has networks that are down. */
async function send(
  packet: Buffer,
  to: readonly { address: string; port: number }[],
  where: string,
): Promise<void> {
  const socket = createSocket('udp4')
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(0, resolve)
    })
    socket.setBroadcast(true)
    const results = await Promise.allSettled(
      to.map(
        ({ address, port }) =>
          new Promise<void>((resolve, reject) =>
            socket.send(packet, port, address, error => (error ? reject(error) : resolve())),
          ),
      ),
    )
    if (!results.some(r => r.status === 'fulfilled'))
      throw notSent(where, results.find(r => r.status === 'rejected')?.reason)
  } finally {
    socket.close()
  }
}

function notSent(where: string, cause: unknown): Fault {
  return new Fault({
    code: 'power-packet-not-sent',
    blame: 'network',
    message: `the packet of ${where} could not be sent`,
    remedy:
      'Put this computer into the same network as the machine, with an IPv4 address; routers do not pass it on',
    cause,
    transient: true,
  })
}
