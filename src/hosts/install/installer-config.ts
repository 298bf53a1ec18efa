import type { HostFacts } from '../facts.ts'
import type { HostKey } from '../keys.ts'
import type { StaticNetwork } from './rung.ts'

/** Where the installer says whose it is. */
export const installerMark = '/etc/recover/installer.json'

/**
 * The config of the installer that we boot: a host key of its own, one key that may log in, this run's name, networks
 * that must stay as they are, and no updates. Never the host's own config: that one would begin to make the host, in memory.
 */
export function installerConfig(what: {
  run: string
  host: string
  hostKey: HostKey
  /** OpenSSH public keys that may log in as `core`. */
  logins: string[]
  networks?: StaticNetwork[] | undefined
}): string {
  const file = (path: string, mode: number, text: string) => ({
    path,
    mode,
    overwrite: true,
    contents: { source: `data:;base64,${Buffer.from(text).toString('base64')}` },
  })
  return JSON.stringify({
    // The oldest spec that has all of this: any installer of the last years takes it.
    ignition: { version: '3.3.0' },
    passwd: { users: [{ name: 'core', sshAuthorizedKeys: what.logins }] },
    storage: {
      files: [
        file('/etc/ssh/ssh_host_ed25519_key', 0o600, what.hostKey.privateKey),
        file('/etc/ssh/ssh_host_ed25519_key.pub', 0o644, `${what.hostKey.publicKey}\n`),
        file(installerMark, 0o644, `${JSON.stringify({ run: what.run, host: what.host })}\n`),
        ...(what.networks ?? []).map(network =>
          file(
            `/etc/systemd/network/00-recover-${network.mac.replaceAll(':', '')}.network`,
            0o644,
            [
              '[Match]',
              `MACAddress=${network.mac}`,
              '[Network]',
              'DHCP=no',
              ...network.addresses.map(a => `Address=${a}`),
              ...(network.gateway === undefined ? [] : [`Gateway=${network.gateway}`]),
              '',
            ].join('\n'),
          ),
        ),
      ],
    },
    systemd: {
      units: ['update-engine.service', 'locksmithd.service'].map(name => ({ name, mask: true })),
    },
  })
}

/** Kernel arguments of the installer: the run's name, by which it is told from any other that may answer. */
export function installerArguments(run: string, more: string | undefined): string {
  return [`flatcar.first_boot=1 recover.run=${run}`, more?.trim()].filter(Boolean).join(' ')
}

/** Whether a kernel's command line names this run. */
export function isOfRun(commandLine: string, run: string): boolean {
  return commandLine.split(/\s+/).includes(`recover.run=${run}`)
}

/**
 * The addresses that a machine has now, to be given back to it under another kernel. Undefined when its way out is no
 * plain interface: a bridge or a bond would have to be built again.
 */
export function networksOf(
  { interfaces, defaultRoute }: HostFacts,
  address: string,
): StaticNetwork[] | undefined {
  const carries = (a: string) => a.split('/')[0] === address
  const way = interfaces.find(i => i.addresses.some(carries))
  if (way && !way.physical && way.name !== 'lo') return undefined
  const plain = interfaces.filter(i => i.physical && i.up && i.addresses.some(isOwn))
  return plain.map(i => ({
    mac: i.mac,
    addresses: i.addresses.filter(isOwn),
    ...(defaultRoute && defaultRoute.interface === i.name ? { gateway: defaultRoute.via } : {}),
  }))
}

/** An address of the machine itself: not link-local, and not one that a load balancer lends it. */
function isOwn(address: string): boolean {
  return !/^(fe80:|169\.254\.)/i.test(address) && !/\/(32|128)$/.test(address)
}
