import { type Disk, type IscsiSession, readDisks } from './disks.ts'
import { sectionsOf } from './sections.ts'

/** A network interface. */
export interface NetworkInterface {
  name: string
  mac: string
  /** It has hardware of its own: not a bridge, a tunnel or a pod's. */
  physical: boolean
  up: boolean
  /** With prefix length: `192.0.2.11/24`. */
  addresses: string[]
}

/** k0s as it is installed on a machine. */
export interface K0sFacts {
  /** As `k0s version` says; empty where the program is not there any more. */
  version: string
  role: 'controller' | 'controller+worker' | 'single' | 'worker' | undefined
  running: boolean
  dataDir: string
}

/** What one look at a machine tells. */
export interface HostFacts {
  hostname: string
  /**
   * As whom the script ran. `none`: neither root nor sudo without a password; serial numbers, what is on the disks and
   * what k0s keeps may then be missing.
   */
  access: 'root' | 'sudo' | 'none'
  os: { id: string; name: string; version: string; variant: string }
  /** As `uname -m` says: `x86_64`, `aarch64`. */
  arch: string
  /** Release of the running kernel. */
  kernel: string
  /** /proc/cmdline. */
  kernelArguments: string
  memoryBytes: number
  memoryAvailableBytes: number
  uefi: boolean
  secureBoot: boolean
  /** The running kernel refuses to load another one that is not signed, or at all. */
  kexecRefused: boolean
  /** Which of `factTools` there are. */
  tools: string[]
  /** File system of `/`: `ext4`, `btrfs`; `tmpfs`, `ramfs`, `overlay` on a system that runs from memory. */
  rootFileSystem: string
  bootId: string
  machineSerial: string
  /** System UUID (DMI), lower case. */
  machineUuid: string
  /** Maker and product, as DMI has them. */
  machineModel: string
  macs: string[]
  interfaces: NetworkInterface[]
  defaultRoute: { interface: string; via: string } | undefined
  disks: Disk[]
  /** Kernel name of the disk that the running system was started from; undefined when it runs from memory alone. */
  bootDisk: string | undefined
  /** LUNs that this machine is logged in to. Their disks are never candidates for a wipe. */
  iscsi: IscsiSession[]
  /** The run that made this system, if one did. */
  run: { run: string; host: string } | undefined
  units: Record<string, string>
  k0s: K0sFacts | undefined
  initiator: string
}

/** Reads what the fact script printed. Throws Fault `host-facts-incomplete` when the end is missing. */
export function parseFacts(text: string, host: string): HostFacts {
  const parts = sectionsOf(text, host)
  const part = (name: string) => parts.get(name) ?? ''
  const lines = (name: string) =>
    part(name)
      .split('\n')
      .filter(line => line.trim() !== '')
  const release = Object.fromEntries(
    lines('os-release')
      .map(line => /^(\w+)=["']?([^"']*)["']?$/.exec(line))
      .flatMap(match => (match ? [[match[1], match[2]]] : [])),
  ) as Record<string, string>
  const pairs = (name: string) =>
    Object.fromEntries(
      lines(name).map(line => [line.split(' ')[0]!, line.slice(line.indexOf(' ') + 1).trim()]),
    ) as Record<string, string | undefined>
  const memory = pairs('memory')
  const machine = pairs('machine')
  const firmware = new Set(lines('firmware'))
  const interfaces = interfacesOf(lines('links'), lines('addresses'))
  const { disks, sessions, rootFileSystem } = readDisks({
    block: part('block'),
    lsblk: part('lsblk'),
    blkid: part('blkid'),
    byId: part('by-id'),
    mounts: part('mounts'),
    swaps: part('swaps'),
    pvs: part('pvs'),
    iscsi: part('iscsi'),
  })
  const units = Object.fromEntries(
    lines('units').map(line => {
      const [unit = '', state = ''] = line.split(' ')
      return [unit, state || 'absent']
    }),
  )
  const [arch = '', kernel = ''] = lines('kernel')
  return {
    hostname: part('hostname').trim(),
    access: accessOf(part('access').trim()),
    os: {
      id: release.ID ?? '',
      name: release.PRETTY_NAME ?? release.NAME ?? '',
      version: release.VERSION_ID ?? '',
      variant: release.VARIANT_ID ?? '',
    },
    arch,
    kernel,
    kernelArguments: part('cmdline').trim(),
    memoryBytes: Number(memory['MemTotal:'] ?? 0) * 1024,
    memoryAvailableBytes: Number(memory['MemAvailable:'] ?? 0) * 1024,
    uefi: firmware.has('uefi'),
    secureBoot: firmware.has('secure-boot'),
    kexecRefused: firmware.has('kexec-disabled') || firmware.has('lockdown'),
    tools: lines('tools'),
    rootFileSystem,
    bootId: part('boot-id').trim(),
    machineSerial: machine.product_serial ?? '',
    machineUuid: (machine.product_uuid ?? '').toLowerCase(),
    machineModel: [machine.sys_vendor, machine.product_name].filter(Boolean).join(' '),
    macs: [...new Set(interfaces.map(i => i.mac))].filter(mac => /[1-9a-f]/.test(mac)),
    interfaces,
    defaultRoute: defaultRouteOf(lines('routes')),
    disks,
    bootDisk: disks.find(d => d.boot)?.name,
    iscsi: sessions,
    run: runOf(part('run')),
    units,
    k0s: k0sOf(lines('k0s'), units),
    initiator: /InitiatorName=(\S+)/.exec(part('initiator'))?.[1] ?? '',
  }
}

function accessOf(text: string): HostFacts['access'] {
  return text === 'root' || text === 'sudo' ? text : 'none'
}

function interfacesOf(links: string[], addresses: string[]): NetworkInterface[] {
  return links.map(line => {
    const [name = '', mac = '', state = '', physical = ''] = line.split(' ')
    return {
      name,
      mac: mac.toLowerCase(),
      physical: physical === 'physical',
      up: state === 'up' || state === 'unknown',
      addresses: addresses.flatMap(a => {
        const match = /^\d+:\s+([^\s@]+)\S*\s+inet6?\s+(\S+)/.exec(a)
        return match && match[1] === name ? [match[2]!] : []
      }),
    }
  })
}

/** From /proc/net/route, whose addresses are in the machine's byte order (little-endian on all that we know). */
function defaultRouteOf(routes: string[]): HostFacts['defaultRoute'] {
  for (const line of routes) {
    const [name = '', destination, gateway = '', , , , , mask] = line.trim().split(/\s+/)
    if (destination !== '00000000' || mask !== '00000000' || gateway === '00000000') continue
    const bytes = gateway.match(/../g)?.reverse() ?? []
    return { interface: name, via: bytes.map(b => Number.parseInt(b, 16)).join('.') }
  }
  return undefined
}

function k0sOf(lines: string[], units: Record<string, string>): K0sFacts | undefined {
  const command = (unit: string) => lines.find(l => l.startsWith(`${unit} `))
  const controller = command('k0scontroller')
  const worker = command('k0sworker')
  const version =
    lines
      .find(l => l.startsWith('version '))
      ?.slice('version '.length)
      .trim() ?? ''
  if (version === '' && controller === undefined && worker === undefined) return undefined
  const starts = controller ?? worker ?? ''
  return {
    version,
    role: roleOf(controller, worker),
    running: units.k0scontroller === 'active' || units.k0sworker === 'active',
    dataDir: /--data-dir[= ]"?([^\s"]+)/.exec(starts)?.[1] ?? '/var/lib/k0s',
  }
}

function roleOf(controller: string | undefined, worker: string | undefined): K0sFacts['role'] {
  if (controller === undefined) return worker === undefined ? undefined : 'worker'
  if (/--single\b/.test(controller)) return 'single'
  return /--enable-worker\b/.test(controller) ? 'controller+worker' : 'controller'
}

function runOf(json: string): HostFacts['run'] {
  try {
    const { run, host } = JSON.parse(json) as { run?: unknown; host?: unknown }
    return typeof run === 'string' && typeof host === 'string' ? { run, host } : undefined
  } catch {
    return undefined
  }
}
