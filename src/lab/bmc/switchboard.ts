import { createSocket, type Socket } from 'node:dgram'
import type { HostBlueprint } from '../blueprint.ts'
import type { Pki } from '../pki.ts'
import type { PowerSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { BmcEmulator } from './emulator.ts'

/** How a machine of the lab is switched, for any client. */
export type PowerEndpoint =
  | { kind: 'redfish'; url: string; fingerprint: string; username: string; password: string }
  /** Not for ipmitool itself, but for the lab's stand-in of that name. */
  | { kind: 'ipmi'; address: string; port: number; username: string; password: string }
  | { kind: 'wake-on-lan'; mac: string; address: string; port: number }

/** Name of a BMC's certificate in the lab's PKI. */
export function bmcCertificate(host: string): string {
  return `bmc ${host}`
}

/** Whether a machine has a BMC, with a certificate to show. */
export function hasBmc({ power }: HostBlueprint): boolean {
  return power !== undefined && power.kind !== 'wake-on-lan'
}

/** Whatever switches the lab's machines: a BMC each, or one ear for the packets that wake. */
export class Switchboard {
  private readonly world: World
  private readonly bmcs = new Map<string, BmcEmulator>()
  private readonly power: (name: string) => PowerSeam
  private ear: Socket | undefined

  constructor(world: World, pki: Pki, power: (name: string) => PowerSeam) {
    this.world = world
    this.power = power
    for (const host of world.blueprint.hosts)
      if (host.power && host.power.kind !== 'wake-on-lan')
        this.bmcs.set(
          host.name,
          new BmcEmulator(
            world,
            host.name,
            host.power,
            power(host.name),
            pki.server(bmcCertificate(host.name)),
          ),
        )
  }

  /** Listens at the world's address; resolves with how each machine is switched. */
  async listen(): Promise<Record<string, PowerEndpoint>> {
    const { address } = this.world
    const endpoints: Record<string, PowerEndpoint> = {}
    for (const { name, power } of this.world.blueprint.hosts) {
      if (!power) continue
      if (power.kind === 'wake-on-lan') {
        endpoints[name] = {
          kind: 'wake-on-lan',
          mac: power.mac,
          address,
          port: await this.hear(),
        }
        continue
      }
      const bmc = this.bmcs.get(name)!
      const port = await bmc.listen()
      const login = { username: power.account, password: power.password }
      endpoints[name] =
        power.kind === 'ipmi'
          ? { kind: 'ipmi', address, port, ...login }
          : { kind: 'redfish', url: `https://${address}:${port}`, fingerprint: bmc.fingerprint, ...login }
    }
    return endpoints
  }

  async close(): Promise<void> {
    await Promise.all([...this.bmcs.values()].map(bmc => bmc.close()))
    await new Promise<void>(resolve => (this.ear ? this.ear.close(() => resolve()) : resolve()))
  }

  private async hear(): Promise<number> {
    this.ear ??= await new Promise<Socket>((resolve, reject) => {
      const socket = createSocket('udp4', packet => this.wake(packet))
      socket.once('error', reject)
      socket.bind(0, this.world.address, () => resolve(socket))
    })
    return this.ear.address().port
  }

  /** A network card wakes its machine by its own address only, and a machine that is on takes no notice. */
  private wake(packet: Buffer): void {
    this.world.spokenToAt = performance.now()
    for (const { name, power } of this.world.blueprint.hosts) {
      if (power?.kind !== 'wake-on-lan') continue
      const mac = Buffer.from(power.mac.replaceAll(':', ''), 'hex')
      const wanted = Buffer.concat([Buffer.alloc(6, 0xff), ...Array.from({ length: 16 }, () => mac)])
      if (!packet.includes(wanted) || this.power(name).on()) continue
      this.world.countMutation('hosts', `${name}: woken by a packet`)
      this.power(name).turnOn()
    }
  }
}
