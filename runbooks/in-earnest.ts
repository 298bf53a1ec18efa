import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import type { HostEntry } from '../src/cluster/schema.ts'
import type { PowerAccess } from '../src/hosts/power/connect-power.ts'
import { Fault } from '../src/runbook/fault.ts'
import { openSecrets, type Secrets } from '../src/secrets/resolve.ts'
import type { Login } from './connect.ts'
import { bootstrapManifests } from './render.ts'
import type { Reach } from './session.ts'

/** The real home: addresses from recover.yaml, keys from the person's agent or from k0sctl.yaml, secrets from its sources. */
export const inEarnest: Reach = async (cluster, folder) => {
  const { entry, k0sctl } = cluster
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
    power(name) {
      const host = entry.hosts[name]
      return host && powerOf(name, host, secrets)
    },
    login: () => loginFrom(k0sctl.hosts.find(h => h.keyPath)?.keyPath),
    nas: {
      url: entry.nas.synology,
      fingerprint: entry.nas.fingerprint,
      account: () => secrets.field(entry.nas.credentials, 'username'),
      password: () => secrets.field(entry.nas.credentials, 'password'),
    },
    secrets,
    wantedSecrets: [
      ...new Set([entry.nas.credentials, ...Object.values(entry.hosts).flatMap(bmcSecret)]),
    ].flatMap(secret => ['username', 'password'].map(field => ({ secret, field }))),
    k0sctl: [entry.tools?.k0sctl === undefined ? 'k0sctl' : cluster.resolve(entry.tools.k0sctl)],
    manifests: (part, signal) => bootstrapManifests(cluster, part, folder.path, signal),
    pace: 1,
  }
}

function loginFrom(keyPath: string | undefined): Login {
  const agent = process.env.SSH_AUTH_SOCK
  if (agent) return { agent }
  if (keyPath) {
    const keyFile = keyPath.replace(/^~/, homedir())
    return { privateKey: readFileSync(keyFile, 'utf8'), keyFile }
  }
  throw new Fault({
    code: 'ssh-key-missing',
    blame: 'operator',
    message: 'no key to log in to the machines with: no ssh-agent runs, and k0sctl.yaml names no keyPath',
    remedy: 'Start an ssh-agent and add your key to it (ssh-add)',
  })
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

/** Name of the secret that opens a machine's BMC. */
function bmcSecret({ power }: HostEntry): string[] {
  return power !== undefined && 'credentials' in power ? [power.credentials] : []
}
