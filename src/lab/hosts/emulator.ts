import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import ssh2 from 'ssh2'
import { request } from 'undici'
import { FolderNodes } from '../nodes/folder-nodes.ts'
import type { Nodes } from '../nodes/nodes.ts'
import type { ApiSeam, MachinesSeam, NasSeam, PowerSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { InputReader } from './input.ts'
import { dataIdentity, hasWorkload } from './k0s.ts'
import { Machine } from './machine.ts'
import type { MachineState } from './machine-state.ts'

/**
 * The lab's machines: one real SSH server each, on a loopback port of its own that stays the same for the life of the
 * world. What a machine answered survives the end of this process.
 */
export class MachinesEmulator {
  readonly machines: Map<string, Machine>
  private readonly world: World
  private readonly operatorKey: string
  private readonly servers: Server[] = []
  private readonly lines = new Map<string, Set<Socket>>()

  /** @param operatorKey OpenSSH public key of the person, who may log in as `core`. */
  constructor(
    world: World,
    operatorKey: string,
    nas: () => NasSeam | undefined,
    api: () => ApiSeam | undefined = () => undefined,
    nodes: () => Nodes | undefined = () => {
      const seam = nas()
      return seam && new FolderNodes(world, seam)
    },
  ) {
    this.world = world
    this.operatorKey = operatorKey
    const stored = world.read<Record<string, MachineState>>('hosts') ?? {}
    const save = () =>
      world.write('hosts', Object.fromEntries([...this.machines].map(([name, m]) => [name, m.state])))
    this.machines = new Map()
    for (const host of world.blueprint.hosts)
      this.machines.set(host.name, new Machine(world, host, stored[host.name], nas, save, api, nodes))
    save()
  }

  /** The machines as the cluster on them sees them. */
  get seam(): MachinesSeam {
    const controller = () =>
      [...this.machines.values()].find(
        m =>
          m.reachable() && m.state.system === 'flatcar' && m.state.units.k0scontroller?.active === 'active',
      )
    return {
      controlPlaneUp: () => controller() !== undefined,
      controlPlaneEpoch: () => dataIdentity(controller()?.state ?? ({ files: {} } as MachineState)) ?? 'none',
      nodes: () =>
        [...this.machines.values()]
          .filter(m => m.reachable() && hasWorkload(m.state))
          .map(m => ({
            name: m.state.name,
            address: this.world.address,
            initiator: m.initiator(),
            bootId: m.state.bootId,
            kubeletVersion: `v${this.world.blueprint.kubernetesVersion}+k0s`,
          })),
    }
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name)
    if (!machine) throw new Error(`the lab has no machine ${name}`)
    return machine
  }

  /** The machine as its BMC sees it. */
  power(name: string): PowerSeam {
    const machine = this.machine(name)
    const { machineSerial, machineUuid, mac } = this.world.blueprint.hosts.find(h => h.name === name)!
    const then = (act: () => void) => () => {
      act()
      this.dropLines(name)
    }
    return {
      identity: () => ({
        serial: machineSerial,
        uuid: machineUuid ?? this.world.uuidFor(`${name}-system`),
        macs: [mac],
        model: 'Lab machine',
      }),
      on: () => machine.on(),
      turnOn: () => machine.powerOn(),
      turnOff: how => {
        if (how === 'gracefully' && machine.state.system === 'hung') return
        then(() => machine.powerOff())()
      },
      restart: then(() => machine.restart()),
      bootOverride: () => machine.state.bootOverride,
      setBootOverride: target => machine.setBootOverride(target),
      media: () => machine.state.media,
      insertMedia: url => machine.setMedia(url),
      ejectMedia: () => machine.setMedia(undefined),
    }
  }

  /** Listens at the world's address and resolves with each machine's port. */
  async listen(): Promise<Record<string, number>> {
    const wanted = this.world.read<Record<string, number>>('host-ports') ?? {}
    const ports: Record<string, number> = {}
    for (const [name, machine] of this.machines) {
      const lines = new Set<Socket>()
      this.lines.set(name, lines)
      const server = createServer(socket => this.accept(machine, socket, lines))
      this.servers.push(server)
      ports[name] = await listenOn(server, this.world.address, wanted[name] ?? 0)
    }
    this.world.write('host-ports', ports)
    return ports
  }

  async close(): Promise<void> {
    for (const name of this.machines.keys()) this.dropLines(name)
    await Promise.all(this.servers.map(s => new Promise(resolve => s.close(resolve))))
  }

  /** Every connection to a machine ends, as when it loses power. */
  dropLines(name: string): void {
    for (const socket of this.lines.get(name) ?? []) socket.destroy()
  }

  private accept(machine: Machine, socket: Socket, lines: Set<Socket>): void {
    this.world.spokenToAt = performance.now()
    const { name } = machine.state
    // A machine that is off does not even refuse; on loopback, closing at once is the nearest thing.
    if (!machine.reachable() || this.world.strikes('ssh-throttled', name)) {
      socket.destroy()
      return
    }
    lines.add(socket)
    socket.on('close', () => lines.delete(socket))
    socket.on('error', () => {})
    socket.setNoDelay(true)
    const bootId = machine.state.bootId
    const server = new ssh2.Server({ hostKeys: [machine.state.hostKey] }, client => {
      client.on('error', () => {})
      client.on('authentication', context => {
        // The person may log in wherever the config lets anybody in; keys that it names may, too.
        const keys = [...(machine.hasLogin() ? [this.operatorKey] : []), ...machine.authorizedKeys()]
        const allowed =
          context.method === 'publickey' &&
          context.username === 'core' &&
          keys.some(text => {
            const key = ssh2.utils.parseKey(text)
            return (
              !(key instanceof Error) &&
              context.key.data.equals(key.getPublicSSH()) &&
              (!context.signature ||
                !context.blob ||
                key.verify(context.blob, context.signature, context.hashAlgo) === true)
            )
          })
        if (allowed) context.accept()
        else context.reject(['publickey'])
      })
      client.on('session', accept => {
        const session = accept()
        session.on('exec', (acceptExec, _rejectExec, info) => {
          const stream = acceptExec()
          const input = new InputReader()
          stream.on('error', () => {})
          // A stream of its own, which ends before the other when a client dies in the middle of a command.
          stream.stderr.on('error', () => {})
          stream.on('data', (chunk: Buffer) => input.add(chunk))
          stream.on('end', () => {
            const finish = () => {
              if (!machine.reachable() || machine.state.bootId !== bootId) return socket.destroy()
              const output = machine.run(info.command, input.end())
              if (output.drops) return this.dropLines(name)
              if (output.takesMs === 'never') return
              const answer = () => {
                // Whoever asked may have hung up meanwhile.
                if (!stream.writable || !stream.stderr.writable) return
                stream.stderr.write(output.stderr)
                stream.write(output.stdout)
                stream.exit(output.code)
                stream.end()
              }
              if (output.fetches !== undefined)
                void fetched(output.fetches).then(text => {
                  if (text === undefined) output.code = 22
                  else output.stdout = text
                  answer()
                })
              else if (output.takesMs) setTimeout(answer, output.takesMs)
              else answer()
            }
            const latency = this.world.blueprint.latency.ssh
            if (latency > 0) setTimeout(finish, latency)
            else finish()
          })
        })
      })
    })
    server.injectSocket(socket)
  }
}

/** What an HTTP address on loopback gives; undefined where it gives nothing good. */
async function fetched(url: string): Promise<string | undefined> {
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(10_000) })
    const text = await body.text()
    return statusCode === 200 ? text : undefined
  } catch {
    return undefined
  }
}

/** Takes the wanted port when it is free, another otherwise. */
function listenOn(server: Server, address: string, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const taken = (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || wanted === 0) return reject(error)
      server.once('error', reject)
      server.listen(0, address, () => resolve((server.address() as AddressInfo).port))
    }
    server.once('error', taken)
    server.listen(wanted, address, () => {
      server.off('error', taken)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
