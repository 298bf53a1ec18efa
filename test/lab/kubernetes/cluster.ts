import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { parse } from 'yaml'
import { connectWriter } from '../../../src/hosts/host.ts'
import { prepareIgnition } from '../../../src/hosts/ignition/prepare.ts'
import { verifyArtifact } from '../../../src/hosts/install/artifact.ts'
import { writeDisk } from '../../../src/hosts/install/write-disk.ts'
import { mintHostKey } from '../../../src/hosts/keys.ts'
import { resolveDisk } from '../../../src/hosts/resolve-disk.ts'
import { connectSsh, type SshAccess, type SshConnection } from '../../../src/hosts/ssh.ts'
import { connectApi } from '../../../src/kubernetes/api.ts'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import type { Blueprint } from '../../../src/lab/blueprint.ts'
import { type Lab, type LabEndpoints, startLab } from '../../../src/lab/lab.ts'
import { World } from '../../../src/lab/world.ts'
import { scratch } from '../../runbook/harness.ts'
import { smallBlueprint } from '../small-world.ts'

const secret = Buffer.alloc(32, 9)
const run = '20261123-030000-cd34'
const serials: Record<string, string> = { lithium: 'S4EVNX0M123456', helium: 'S4EVNX0M654321' }

/** A second machine beside the small world's only one. */
export const helium: Blueprint['hosts'][number] = {
  name: 'helium',
  role: 'worker',
  machineSerial: 'M-HELIUM',
  mac: '52:54:00:00:00:02',
  begins: 'installer',
  oldInitiator: 'iqn.2016-04.com.open-iscsi:helium-old',
  disks: [
    {
      kernelName: 'nvme0n1',
      serial: 'S4EVNX0M654321',
      wwn: 'eui.0025385a07654321',
      model: 'Samsung SSD 970 EVO 500GB',
      sizeBytes: 500_107_862_016,
      content: [],
    },
  ],
}

export function access(endpoints: LabEndpoints, name = 'lithium'): SshAccess {
  const { address, port, user } = endpoints.hosts[name]!
  return { name, address, port, user, privateKey: endpoints.operatorKey, pins: 'first-use' }
}

/** Installs Flatcar on a machine that stands at the installer, the way that a run does it. */
export async function install(endpoints: LabEndpoints, name = 'lithium'): Promise<void> {
  const { host, close } = await connectWriter(access(endpoints, name))
  const file = join(scratch('image'), 'flatcar.bin')
  writeFileSync(file, 'flatcar')
  const key = mintHostKey(Buffer.from(endpoints.operatorKey).subarray(0, 32), 'operator of the test')
  const { operatorKey } = endpoints
  const config = {
    ignition: { version: '3.4.0' },
    // Whoever this is: the lab lets its own operator in as soon as a key is there.
    passwd: { users: [{ name: 'core', sshAuthorizedKeys: [key.publicKey] }] },
    storage: { files: [{ path: '/etc/hostname', mode: 0o644, contents: { source: `data:,${name}` } }] },
  }
  const facts = await host.facts()
  const image = { file, sha256: createHash('sha256').update('flatcar').digest('hex') }
  await writeDisk(
    host,
    {
      run,
      disk: resolveDisk(facts, { serial: serials[name]! }, name),
      disks: facts.disks,
      image,
      verify: () => verifyArtifact('system image', image, { file: undefined }),
      ignition: prepareIgnition(JSON.stringify(config), `${name}.ign`, {
        run,
        host: name,
        keys: [mintHostKey(secret, `${name} ${operatorKey.length}`)],
      }),
    },
    {
      signal: new AbortController().signal,
      note() {},
      askHand() {},
      wait: (what, probe) => eventually(what, probe),
    },
  )
  close()
}

/** Begins a control plane by the commands that k0sctl sends. */
export async function startControlPlane(endpoints: LabEndpoints, name = 'lithium'): Promise<void> {
  await onMachine(endpoints, name, async sudo => {
    await sudo('install -D -m 0750 /dev/stdin /opt/bin/k0s', 'v1.34.2+k0s.0')
    await sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0s.yaml', '{}')
    await sudo(
      '/opt/bin/k0s install controller --data-dir=/var/lib/k0s --enable-worker=true --no-taints=true',
    )
    await sudo('systemctl start k0scontroller')
  })
}

/** Runs commands on a machine as k0sctl does; each must succeed. */
export async function onMachine<T>(
  endpoints: LabEndpoints,
  name: string,
  work: (sudo: (command: string, stdin?: string) => Promise<string>) => Promise<T>,
): Promise<T> {
  const line: SshConnection = await connectSsh(access(endpoints, name))
  try {
    return await work(async (command, stdin) => {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's expansion, as k0sctl sends it
      const prefix = 'sudo -n -- "${SHELL-sh}" -c'
      const result = await line.run(`${prefix} '${command}'`, stdin === undefined ? {} : { stdin })
      if (result.code !== 0) throw new Error(`${command}: ${result.stderr}`)
      return result.stdout
    })
  } finally {
    line.close()
  }
}

export interface Answer<T = KubernetesObject & { [key: string]: never }> {
  status: number
  body: T
}

// biome-ignore lint/suspicious/noExplicitAny: what a server answers is any JSON, and tests look into it
export type Json = any

/** A cluster through its API, whoever serves that. */
export interface Connected {
  kubeconfig: string
  api: ReturnType<typeof connectApi>
  /** One request with the admin's certificate. */
  ask(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    type?: string,
  ): Promise<Answer<Json>>
  /** Server-side apply by any manager. */
  apply(manager: string, object: KubernetesObject, options?: string): Promise<Answer<Json>>
  /** A watch: what arrives, and an end. */
  watch(path: string): Promise<{ events: Json[]; stop(): void; ended: Promise<void> }>
  close(): Promise<void>
}

export interface Cluster extends Connected {
  world: World
  lab: Lab
  endpoints: LabEndpoints
}

/** A lab in this process whose controller runs k0s. */
export async function startCluster(change: (blueprint: Blueprint) => void = () => {}): Promise<Cluster> {
  const blueprint = smallBlueprint()
  change(blueprint)
  const world = World.create(scratch('cluster'), blueprint)
  const lab = await startLab(world)
  for (const { name, begins } of blueprint.hosts)
    if (begins === 'installer') await install(lab.endpoints, name)
  await startControlPlane(lab.endpoints)
  return openCluster(world, lab)
}

/** What a test needs of a cluster that runs. */
export async function openCluster(world: World, lab: Lab): Promise<Cluster> {
  const { endpoints } = lab
  const line = await connectedTo(endpoints, world.path('admin.kubeconfig'))
  return {
    world,
    lab,
    ...line,
    async close() {
      await line.close()
      await lab.close()
    },
  }
}

/** The way into the cluster of a lab, wherever that runs. */
export async function connectedTo(
  endpoints: LabEndpoints,
  kubeconfig: string,
): Promise<Omit<Cluster, 'world' | 'lab'>> {
  const text = await onMachine(endpoints, 'lithium', sudo => sudo('/opt/bin/k0s kubeconfig admin'))
  writeFileSync(kubeconfig, text, { mode: 0o600 })
  return { endpoints, ...connectBy(kubeconfig) }
}

/** The way into a cluster whose kubeconfig is at hand. */
export function connectBy(kubeconfig: string): Connected {
  const api = connectApi({ kubeconfig, timeoutMs: 30_000 })
  const { ca, cert, key, server } = credentials(readFileSync(kubeconfig, 'utf8'))
  const dispatcher = new Agent({ connect: { ca, cert, key } })
  const ask: Connected['ask'] = async (method, path, body, type = 'application/json') => {
    const response = await request(`${server}${path}`, {
      method,
      dispatcher,
      headers: { 'content-type': type, 'user-agent': 'tester/1' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const answer = await response.body.text()
    return { status: response.statusCode, body: answer.startsWith('{') ? JSON.parse(answer) : answer }
  }
  return {
    kubeconfig,
    api,
    ask,
    apply(manager, object, options = '') {
      const path = `${pathOf(object)}?fieldManager=${manager}${options}`
      return ask('PATCH', path, object, 'application/apply-patch+yaml')
    },
    async watch(path) {
      const stop = new AbortController()
      const response = await request(`${server}${path}`, { dispatcher, signal: stop.signal })
      const events: Json[] = []
      const ended = (async () => {
        let rest = ''
        try {
          for await (const chunk of response.body) {
            const lines = `${rest}${chunk}`.split('\n')
            rest = lines.pop() ?? ''
            events.push(...lines.map(line => JSON.parse(line)))
          }
        } catch {
          // Stopped by us, or cut off by the server: either way it is over.
        }
      })()
      return { events, stop: () => stop.abort(), ended }
    },
    async close() {
      await api.close()
      await dispatcher.destroy()
    },
  }
}

export function credentials(kubeconfig: string): { server: string; ca: string; cert: string; key: string } {
  const { clusters, users } = parse(kubeconfig) as Json
  const plain = (base64: string) => Buffer.from(base64, 'base64').toString()
  return {
    server: clusters[0].cluster.server,
    ca: plain(clusters[0].cluster['certificate-authority-data']),
    cert: plain(users[0].user['client-certificate-data']),
    key: plain(users[0].user['client-key-data']),
  }
}

const plurals: Record<string, string> = {
  NetworkPolicy: 'networkpolicies',
  StorageClass: 'storageclasses',
  Ingress: 'ingresses',
}
const clusterWide = ['Namespace', 'PersistentVolume', 'StorageClass', 'CustomResourceDefinition', 'Node']

/** Where an object lives, without asking the server. */
export function pathOf({ apiVersion, kind, metadata }: KubernetesObject, named = true): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const inside = clusterWide.includes(kind) ? '' : `/namespaces/${metadata.namespace ?? 'default'}`
  return `${root}${inside}/${plurals[kind] ?? `${kind.toLowerCase()}s`}${named ? `/${metadata.name}` : ''}`
}

/** Waits until something is there, as long as a slow machine may need. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + 45_000
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== (false as T)) return found
    if (performance.now() > end) throw new Error(`waited too long for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
