import type { Cluster } from '../src/cluster/load.ts'
import { connectReader, connectWriter, type HostReader } from '../src/hosts/host.ts'
import { byHand } from '../src/hosts/install/by-hand.ts'
import { sshInstaller } from '../src/hosts/install/ssh-installer.ts'
import { mintHostKey } from '../src/hosts/keys.ts'
import { probeSsh, type SshAccess } from '../src/hosts/ssh.ts'
import { connectSynology } from '../src/nas/synology/synology.ts'
import type { HostsReader, HostsWriter, Readers, Writers } from './kit.ts'

/** Where everything is: the real home, or the lab that stands in for it. */
export interface Whereabouts {
  host(name: string): { address: string; port: number; user: string }
  /** How the person logs in to machines. */
  login: { privateKey: string } | { agent: string }
  nas: { url: string; fingerprint: string; account: string; password: () => Promise<string> }
  /** Scales every wait; 1 in real life. */
  pace: number
}

export interface Connections {
  readers: Readers
  writers: Writers
  close(): Promise<void>
}

/** The handles of one run on one cluster. Nothing is connected before it is used. */
export function connect(
  cluster: Cluster,
  run: { id: string; secret: Buffer },
  where: Whereabouts,
  signal: AbortSignal,
): Connections {
  const identity = { id: run.id, hostKey: (host: string) => mintHostKey(run.secret, host) }
  const access = (host: string, pins: SshAccess['pins']): SshAccess => ({
    name: host,
    ...where.host(host),
    ...where.login,
    pins,
  })
  const pinned = (host: string) => access(host, [identity.hostKey(host).publicKey])
  const using = async <H extends HostReader, T>(
    open: Promise<{ host: H; close(): void }>,
    use: (host: H) => Promise<T>,
  ): Promise<T> => {
    const line = await open
    try {
      return await use(line.host)
    } finally {
      line.close()
    }
  }
  const hostsReader: HostsReader = {
    probe: (host, signal) => probeSsh(pinned(host), signal),
    ours: (host, signal, look) => using(connectReader(pinned(host), signal), look),
    anyone: (host, signal, look) => using(connectReader(access(host, 'first-use'), signal), look),
  }
  const hostsWriter: HostsWriter = {
    ...hostsReader,
    changeOurs: (host, signal, act) => using(connectWriter(pinned(host), signal), act),
    changeInstaller: (host, hostKey, signal, act) =>
      using(connectWriter(access(host, [hostKey]), signal), act),
    rungs: host =>
      (cluster.entry.hosts[host]?.install ?? []).flatMap(name =>
        [sshInstaller, byHand].filter(r => r.name === name),
      ),
  }
  const nas = connectSynology({ ...where.nas, signal, pace: where.pace })
  const common = { cluster, run: identity }
  return {
    readers: { ...common, hosts: hostsReader, nas: nas.reader },
    writers: { ...common, hosts: hostsWriter, nas: nas.writer },
    close: () => nas.close(),
  }
}
