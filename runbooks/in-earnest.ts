import type { Cluster } from '../src/cluster/load.ts'
import type { ClusterFile, HostEntry } from '../src/cluster/schema.ts'
import { answersByDnsmasq } from '../src/hosts/netboot/dnsmasq.ts'
import { ownKeys } from '../src/hosts/own-keys.ts'
import type { PowerAccess } from '../src/hosts/power/connect-power.ts'
import { openSecrets, type Secrets } from '../src/secrets/resolve.ts'
import { resticFields, resticSnapshots } from '../src/volumes/restic.ts'
import type { NasPlace } from './connect-nas.ts'
import { loginFrom, openSsh } from './login.ts'
import { applicationManifests, bootstrapManifests } from './render.ts'
import type { Reach } from './whereabouts.ts'

/** The real home: addresses from recover.yaml, keys from the person's agent or from k0sctl.yaml, secrets from its sources. */
export const inEarnest: Reach = async (cluster, folder) => {
  const { entry, k0sctl } = cluster
  const keyPath = k0sctl.hosts.find(h => h.keyPath)?.keyPath
  const secrets = openSecrets({
    from: entry.secrets.from,
    vault: entry.secrets.vault,
    file: entry.secrets.file === undefined ? undefined : cluster.resolve(entry.secrets.file),
    open: [entry.cluster, ...Object.entries(entry.hosts).flatMap(([name, { address }]) => [name, address])],
  })
  return {
    host(name) {
      const host = entry.hosts[name]
      const known = k0sctl.hosts.find(h => h.name === name)
      return {
        address: host?.address ?? known?.address ?? name,
        port: host?.port ?? known?.port ?? 22,
        user: host?.user ?? known?.user ?? 'core',
      }
    },
    netboot: entry.netboot && {
      address: entry.netboot.address,
      port: entry.netboot.port ?? 8473,
      dhcp: folder =>
        answersByDnsmasq({ address: entry.netboot!.address, interface: entry.netboot!.interface, folder }),
    },
    mirror: entry.gitops.serve && {
      address: entry.gitops.serve.address,
      port: entry.gitops.serve.port ?? 9419,
    },
    asksGit: true,
    power(name) {
      const host = entry.hosts[name]
      return host && powerOf(name, host, secrets)
    },
    login: () => loginFrom(keyPath),
    // With the person's own ssh only that knows which keys it would use.
    ...(entry.ssh?.transport === 'openssh'
      ? { openssh: openSsh(cluster, keyPath) }
      : { held: async () => ownKeys(loginFrom(keyPath)) }),
    nas: nasOf(cluster, keyPath, secrets),
    secrets,
    wantedSecrets: [
      ...[...new Set([...nasSecret(entry.nas), ...Object.values(entry.hosts).flatMap(bmcSecret)])].flatMap(
        secret => ['username', 'password'].map(field => ({ secret, field })),
      ),
      ...Object.values(entry.backups ?? {}).flatMap(place =>
        resticFields(place).map(field => ({ secret: place.restic, field })),
      ),
    ],
    backups: resticSnapshots,
    k0sctl: [entry.tools?.k0sctl === undefined ? 'k0sctl' : cluster.resolve(entry.tools.k0sctl)],
    api(whose) {
      const first = k0sctl.hosts.find(h => h.role !== 'worker')
      const literal = entry.hosts[first?.name ?? '']?.address ?? first?.address ?? ''
      const told = k0sctl.apiExternalAddress ?? k0sctl.apiAddress
      const address = whose === 'for workers' ? (told ?? literal) : literal
      return `https://${address.includes(':') ? `[${address}]` : address}:${k0sctl.apiPort}`
    },
    manifests: (part, signal) => bootstrapManifests(cluster, part, folder.path, signal),
    applicationManifests: (application, signal) =>
      applicationManifests(cluster, application, folder.path, signal),
    pace: 1,
  }
}

/** How recover.yaml says that a machine is switched. */
export function powerOf(
  name: string,
  { power, mac }: Pick<HostEntry, 'power' | 'mac'>,
  secrets: Pick<Secrets, 'field'>,
): PowerAccess | undefined {
  if (power === undefined) return undefined
  if ('wakeOnLan' in power)
    return {
      kind: 'wake-on-lan',
      where: `Wake-on-LAN for ${name} (${power.wakeOnLan})`,
      mac: power.wakeOnLan,
    }
  const credentials = {
    username: () => secrets.field(power.credentials, 'username'),
    password: () => secrets.field(power.credentials, 'password'),
  }
  if ('redfish' in power)
    return {
      kind: 'redfish',
      where: `the BMC of ${name} (${power.redfish})`,
      url: power.redfish,
      fingerprint: power.fingerprint,
      machine: power.machine,
      mac,
      ...credentials,
    }
  const { address, port } = addressOf(power.ipmi)
  return {
    kind: 'ipmi',
    where: `the BMC of ${name} (${power.ipmi}, IPMI)`,
    address,
    port,
    cipher: power.cipher,
    firmware: power.firmware,
    command: ['ipmitool'],
    ...credentials,
  }
}

/** `192.0.2.111`, `192.0.2.111:6230`, `[fd00::1]:623`, or a bare IPv6 address. */
function addressOf(text: string): { address: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? []
  return { address: bracketed ?? plain ?? text, port: port === undefined ? 623 : Number(port) }
}

/** Where recover.yaml says that the NAS is; a Linux box is logged in to as the machines are. */
function nasOf(
  cluster: Pick<Cluster, 'entry' | 'resolve'>,
  keyPath: string | undefined,
  secrets: Pick<Secrets, 'field'>,
): NasPlace {
  const { nas, ssh } = cluster.entry
  if ('synology' in nas)
    return {
      url: nas.synology,
      fingerprint: nas.fingerprint,
      account: () => secrets.field(nas.credentials, 'username'),
      password: () => secrets.field(nas.credentials, 'password'),
    }
  const { keyFile: _, ...login } = ssh?.transport === 'openssh' ? {} : loginFrom(keyPath)
  return {
    folder: nas.folder,
    ssh: {
      name: 'the NAS',
      address: nas.linux,
      port: nas.port ?? 22,
      user: nas.user ?? 'root',
      pins: [nas.hostKey],
      ...(ssh?.transport === 'openssh' ? { openssh: openSsh(cluster, keyPath) } : login),
    },
  }
}

/** Name of the secret that opens the NAS. */
function nasSecret(nas: ClusterFile['nas']): string[] {
  return 'credentials' in nas ? [nas.credentials] : []
}

/** Name of the secret that opens a machine's BMC. */
function bmcSecret({ power }: HostEntry): string[] {
  return power !== undefined && 'credentials' in power ? [power.credentials] : []
}
