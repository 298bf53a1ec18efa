import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mintHostKey } from '../hosts/keys.ts'
import { bmcCertificate, hasBmc, type PowerEndpoint, Switchboard } from './bmc/switchboard.ts'
import { MachinesEmulator } from './hosts/emulator.ts'
import { IngressEmulator } from './kubernetes/ingress.ts'
import { KubernetesEmulator } from './kubernetes/kubernetes.ts'
import type { ObjectStore } from './kubernetes/store.ts'
import { openDisks } from './nas/disks.ts'
import { NasEmulator } from './nas/emulator.ts'
import { openNodes } from './nodes/open-nodes.ts'
import { openPki } from './pki.ts'
import type { ApiSeam, MachinesSeam, NasSeam } from './seams.ts'
import { TangEmulator } from './tang/emulator.ts'
import type { World } from './world.ts'

/** Where a lab's parts are and how to get in: printed as JSON, so that any client can be pointed at it. */
export interface LabEndpoints {
  pid: number
  folder: string
  control: { url: string; token: string }
  hosts: Record<string, { address: string; port: number; user: string }>
  /** How each machine is switched, for those of which recover.yaml says it. */
  power: Record<string, PowerEndpoint>
  /** OpenSSH private key that the machines accept. Opens nothing but this lab. */
  operatorKey: string
  /** The same key as a file, for programs that want one. */
  operatorKeyFile: string
  /** `plain` is the same without TLS; at `portal` real initiators find its LUNs, where it has one. */
  nas: {
    url: string
    plain: string
    fingerprint: string
    account: string
    password: string
    portal?: string
  }
  /** Answers once a controller runs k0s; its kubeconfig is then on that machine. */
  kubernetes: { url: string }
  /** What applications answer through their Ingress: any of their hosts at this address. */
  ingress: { address: string; port: number; certificateAuthority: string }
  /** The Tang server to which encrypted disks would be bound. */
  tang: { url: string; thumbprint: string }
}

export interface Lab {
  endpoints: LabEndpoints
  /** The machines themselves, for whoever runs the lab in its own process. */
  machines: MachinesEmulator
  close(): Promise<void>
}

/** What answers as Kubernetes in a lab: the emulator, or a real API server that somebody else runs. */
export interface KubernetesPart {
  seam: ApiSeam
  /** Listens for clients; with port 0 the system chooses. */
  listen(port?: number): Promise<number>
  close(): Promise<void>
  /** What the lab's ingress leads to; without it applications answer nobody outside. */
  store?(): ObjectStore
}

/**
 * Starts every emulator of a world in this process, and writes `lab.json` into its folder.
 * @param makeKubernetes makes what takes the emulator's place
 */
export async function startLab(
  world: World,
  makeKubernetes?: (machines: MachinesSeam) => KubernetesPart,
): Promise<Lab> {
  const pki = await openPki(
    world,
    [
      'nas',
      'kubernetes',
      'ingress',
      ...world.blueprint.hosts.filter(hasBmc).map(h => bmcCertificate(h.name)),
    ],
    [{ user: 'kubernetes-admin', groups: ['system:masters'] }],
    world.blueprint.publicNames ?? [],
  )
  const seed = world.read<string>('operator') ?? randomBytes(32).toString('hex')
  world.write('operator', seed)
  const operator = mintHostKey(Buffer.from(seed, 'hex'), 'operator')
  const nas = new NasEmulator(world, pki, await openDisks(world))
  const nodes = await openNodes(world, nas.seam)
  const wanted = world.read<Record<'nas' | 'kubernetes' | 'ingress', number>>('ports')
  const keyFile = world.path('operator.key')
  writeFileSync(keyFile, operator.privateKey, { mode: 0o600 })
  const machines = new MachinesEmulator(
    world,
    operator.publicKey,
    () => nas.seam,
    () => kubernetes.seam,
    () => nodes,
  )
  if (!wanted) reconnectOldSystems(world, nas.seam)
  const kubernetes: KubernetesPart =
    makeKubernetes?.(machines.seam) ?? new KubernetesEmulator(world, pki, machines.seam, nas.seam, nodes)
  const ingress = new IngressEmulator(pki, nodes, () =>
    machines.seam.controlPlaneUp() ? kubernetes.store?.() : undefined,
  )
  const tang = new TangEmulator(world)
  const nasPort = await nas.listen(wanted?.nas)
  const plainPort = await nas.listenPlain(world.read<number>('nas-http-port'))
  world.write('nas-http-port', plainPort)
  const kubernetesPort = await kubernetes.listen(wanted?.kubernetes)
  const ingressPort = await ingress.listen(world.address, wanted?.ingress)
  const tangPort = await tang.listen(world.read<number>('tang-port'))
  world.write('tang-port', tangPort)
  const ports = await machines.listen()
  const switchboard = new Switchboard(world, pki, name => machines.power(name))
  const power = await switchboard.listen()
  world.write('ports', { nas: nasPort, kubernetes: kubernetesPort, ingress: ingressPort })
  const token = randomBytes(16).toString('hex')
  let down: () => void = () => {}
  const control = createControl(world, machines, token, () => down())
  await new Promise<void>(resolve => control.listen(0, world.address, resolve))
  const endpoints: LabEndpoints = {
    pid: process.pid,
    folder: world.dir,
    control: { url: `http://${world.address}:${(control.address() as AddressInfo).port}`, token },
    hosts: Object.fromEntries(
      Object.entries(ports).map(([name, port]) => [name, { address: world.address, port, user: 'core' }]),
    ),
    power,
    operatorKey: operator.privateKey,
    operatorKeyFile: keyFile,
    nas: {
      url: `https://${world.address}:${nasPort}`,
      plain: `http://${world.address}:${plainPort}`,
      fingerprint: nas.fingerprint,
      account: world.blueprint.nas.account,
      password: world.blueprint.nas.password,
      ...(world.blueprint.nas.portal === undefined ? {} : { portal: world.blueprint.nas.portal }),
    },
    kubernetes: { url: `https://${world.address}:${kubernetesPort}` },
    ingress: { address: world.address, port: ingressPort, certificateAuthority: pki.ca.certificate },
    tang: { url: `http://${world.address}:${tangPort}`, thumbprint: tang.thumbprint() },
  }
  world.write('lab', endpoints)
  const close = async () => {
    control.closeAllConnections()
    await kubernetes.close()
    // While there is a NAS that it can log out of.
    await nodes.close()
    await Promise.all([
      machines.close(),
      switchboard.close(),
      nas.close(),
      ingress.close(),
      tang.close(),
      new Promise(resolve => control.close(resolve)),
    ])
  }
  down = () => {
    void close()
  }
  return { endpoints, machines, close }
}

/** The dead cluster's machines are still logged in to their disks, each to its share. */
function reconnectOldSystems(world: World, nas: NasSeam): void {
  const old = world.blueprint.hosts.filter(h => h.begins === 'old-os')
  for (const [i, lun] of world.blueprint.nas.luns.entries()) {
    const host = old[i % Math.max(1, old.length)]
    if (host) nas.login(lun.uuid, host.oldInitiator, world.address)
  }
}

/** The lab's hand and eye: what a person would do at the machines, and what tests want to know. */
function createControl(world: World, machines: MachinesEmulator, token: string, down: () => void): Server {
  return createServer((request, response) => {
    world.spokenToAt = performance.now()
    const url = new URL(request.url ?? '/', 'http://lab')
    const reply = (status: number, body: unknown) => {
      response.statusCode = status
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(body))
    }
    if (request.headers.authorization !== `Bearer ${token}`) return reply(401, { error: 'wrong token' })
    const name = url.searchParams.get('name') ?? ''
    const zombies: string[] = []
    try {
      switch (`${request.method} ${url.pathname}`) {
        case 'GET /mutations':
          return reply(200, { ...world.mutations, last: world.lastMutations })
        case 'POST /stick':
          // A machine that is this run's already, or stands at the installer, needs no stick.
          if (!machines.machine(name).runsWhatItWasGiven()) {
            machines.machine(name).insertStick()
            machines.dropLines(name)
          }
          return reply(200, {})
        case 'POST /off':
          machines.machine(name).powerOff()
          machines.dropLines(name)
          return reply(200, {})
        // What a DHCP server would tell machines that boot from the network: where each finds its script.
        case 'POST /offer':
          world.write('offers', Object.fromEntries(url.searchParams))
          return reply(200, {})
        case 'POST /swap-disk': {
          const { serial, wwn, model, label } = Object.fromEntries(url.searchParams)
          machines.machine(name).swapDisk(serial, {
            ...(wwn === undefined ? {} : { wwn }),
            ...(model === undefined ? {} : { model }),
            ...(label === undefined ? {} : { label }),
          })
          return reply(200, {})
        }
        case 'POST /arm':
          world.arm(
            name,
            url.searchParams.get('target') ?? undefined,
            Number(url.searchParams.get('times') ?? 1),
          )
          return reply(200, {})
        case 'POST /heal':
          // A machine that would not let go of its disk has had its plug pulled.
          for (const host of world.blueprint.hosts.filter(h => world.suffers('zombie-host', h.name)))
            if (machines.machine(host.name).state.system === 'old-os') zombies.push(host.name)
          world.heal()
          for (const zombie of zombies) {
            machines.machine(zombie).powerOff()
            machines.dropLines(zombie)
          }
          return reply(200, {})
        case 'POST /down':
          reply(200, {})
          return down()
        default:
          return reply(404, { error: 'no such order' })
      }
    } catch (error) {
      return reply(400, { error: String(error) })
    }
  })
}
