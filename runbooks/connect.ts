import { join } from 'node:path'
import { connectWeb } from '../src/checks/http.ts'
import { connectNames } from '../src/checks/names.ts'
import { takesConnections } from '../src/checks/tcp.ts'
import type { Cluster } from '../src/cluster/load.ts'
import { connectGit } from '../src/gitops/repository.ts'
import { evidenceIn } from '../src/hosts/evidence.ts'
import { type HostReader, type HostWriter, hostReader, hostWriter } from '../src/hosts/host.ts'
import { whySourceIsAway } from '../src/hosts/ignition/source-kit.ts'
import { connectTang } from '../src/hosts/ignition/tang.ts'
import { mintHostKey, mintHostKeys } from '../src/hosts/keys.ts'
import { keepLines } from '../src/hosts/line.ts'
import { connectPower } from '../src/hosts/power/connect-power.ts'
import { readerOf } from '../src/hosts/power/power.ts'
import type { SshAccess } from '../src/hosts/ssh.ts'
import { connectApi } from '../src/kubernetes/api.ts'
import { connectExec } from '../src/kubernetes/exec.ts'
import type { KubernetesObject } from '../src/kubernetes/kubernetes.ts'
import { oneLook } from '../src/nas/one-look.ts'
import { Fault } from '../src/runbook/fault.ts'
import type { Secrets } from '../src/secrets/resolve.ts'
import { type BackupPlace, resticFields } from '../src/volumes/restic.ts'
import { connectIgnition } from './connect-ignition.ts'
import { connectK0sctl } from './connect-k0sctl.ts'
import { connectLadder, installerAccess } from './connect-ladder.ts'
import { connectMirror } from './connect-mirror.ts'
import { connectNas } from './connect-nas.ts'
import { formerRuns } from './former-runs.ts'
import type { HostsReader, HostsWriter, Readers, Writers } from './kit.ts'
import type { ConnectedRun, Whereabouts } from './whereabouts.ts'

export interface Connections {
  readers: Readers
  writers: Writers
  close(): Promise<void>
}

/** The handles of one run on one cluster. Nothing is connected before it is used. */
export function connect(
  cluster: Cluster,
  run: ConnectedRun,
  where: Whereabouts,
  signal: AbortSignal,
): Connections {
  const identity = {
    id: run.id,
    hostKey: (host: string) => mintHostKey(run.secret, host),
    hostKeys: (host: string) => mintHostKeys(run.secret, host),
  }
  const { ignition, otherIgnition } = connectIgnition(cluster, where.secrets)
  const hosts = connectHosts(cluster, run, identity, where, ignition)
  const nas = connectNas(where.nas, signal, where.pace)
  const own = run.folder === undefined ? '' : join(run.folder, 'kubeconfig')
  const kubeconfig = run.asked?.kubeconfig ?? own
  const k0sctl = connectK0sctl(cluster, identity, where, run.folder ?? '', kubeconfig)
  // Whoever asks something of a living cluster has brought the way into it.
  const access = { kubeconfig, signal, fetched: run.asked === undefined }
  const kubernetes = connectApi({
    ...access,
    ...(run.asked?.context === undefined ? {} : { context: run.asked.context }),
    ...(run.folder === undefined || run.onlyLooks || run.asked?.kubeconfig !== undefined
      ? {}
      : { renew: () => k0sctl.fetchKubeconfig(undefined, signal, () => {}) }),
  })
  const { mirror, close: closeMirror } = connectMirror(cluster, run, where.mirror, where.secrets.mask)
  const web = connectWeb(where.web)
  const exec = run.onlyLooks ? undefined : connectExec(access)
  const tang = connectTang(where.tang)
  const rendered = new Map<string, Promise<KubernetesObject[]>>()
  const common = {
    cluster,
    asked: run.asked ?? { chosen: [], atOnce: false },
    former: () => formerRuns(cluster.file, run.mode ?? 'real'),
    run: identity,
    clusterAccess: kubernetes.where,
    secrets: where.secrets,
    wantedSecrets: where.wantedSecrets,
    async backups(claim: string, signal: AbortSignal) {
      const place = cluster.entry.backups?.[claim]
      if (!place) throw new Error(`no backup of ${claim}`)
      return where.backups(await openingOf(place, where.secrets), signal, claim)
    },
    names: connectNames(where.web === undefined),
    git: connectGit(where.asksGit),
    mirrors: mirror,
    web: {
      get: web.get,
      // In a lab nothing is fetched.
      whyAway: async (url: string, signal: AbortSignal) =>
        where.web ? undefined : { why: await whySourceIsAway(url, signal) },
      // In a lab nobody listens but its ingress.
      takesConnections: (place: { address: string; port: number }, signal: AbortSignal) =>
        takesConnections(where.web ?? place, signal),
    },
    pods: exec,
    ignition,
    otherIgnition,
    evidence: evidenceIn(run.folder),
    login: {
      user: (host: string) => where.host(host).user,
      held: where.held ?? (async () => undefined),
    },
    tang,
    async applicationManifests(name: string, signal: AbortSignal) {
      const application = cluster.applications.find(a => a.name === name)
      if (!application) throw new Error(`no application ${name}`)
      return where.applicationManifests(application, signal)
    },
    manifests(name: string, signal: AbortSignal) {
      const part = cluster.bootstrap.find(p => p.name === name)
      if (!part) throw new Error(`no part ${name} in the bootstrap`)
      const known = rendered.get(name)
      if (known !== undefined) return known
      const made = where.manifests(part, signal)
      rendered.set(name, made)
      made.catch(() => rendered.delete(name))
      return made
    },
  }
  return {
    readers: {
      ...common,
      hosts: hosts.reader,
      // Nothing is written after a plan's looks, and the next program looks anew.
      nas: run.onlyLooks ? oneLook(nas.reader) : nas.reader,
      kubernetes: kubernetes.reader,
      k0sctl: { version: k0sctl.version, joinAddress: k0sctl.joinAddress },
    },
    writers: {
      ...common,
      hosts: hosts.writer,
      nas: nas.writer,
      kubernetes: kubernetes.writer,
      k0sctl,
    },
    close: async () => {
      await Promise.all([
        nas.close(),
        kubernetes.close(),
        exec?.close(),
        web.close(),
        hosts.close(),
        tang.close(),
        closeMirror(),
      ])
    },
  }
}

/** The environment in which restic opens a repository. */
async function openingOf(place: BackupPlace, secrets: Secrets): Promise<Record<string, string>> {
  const fields = resticFields(place).map(
    async field => [field, await secrets.field(place.restic, field)] as const,
  )
  return Object.fromEntries(await Promise.all(fields))
}

type Identity = Readers['run']

function connectHosts(
  cluster: Cluster,
  run: ConnectedRun,
  identity: Identity,
  where: Whereabouts,
  ignition: Readers['ignition'],
): { reader: HostsReader; writer: HostsWriter; close(): Promise<void> } {
  const lines = keepLines({
    pace: where.pace,
    off: async (host, signal) => (await powerReader(host)?.state(signal)) === 'off',
  })
  const access = (host: string, pins: SshAccess['pins']): SshAccess => {
    const reached = { name: host, ...where.host(host), pins }
    if (where.openssh !== undefined) return { ...reached, openssh: where.openssh }
    const { keyFile: _, ...login } = where.login()
    return { ...reached, ...login }
  }
  const pins = new Map<string, string>()
  const pinned = (host: string) => {
    // Deriving it takes milliseconds, and for each fence that is proven every machine is asked.
    const known = pins.get(host) ?? identity.hostKey(host).publicKey
    pins.set(host, known)
    return access(host, [known])
  }
  const powers = new Map<string, ReturnType<typeof connectPower>>()
  const power = (host: string) => {
    const access = where.power(host)
    if (access === undefined) return undefined
    const known = powers.get(host) ?? connectPower(access)
    powers.set(host, known)
    return known.writer
  }
  const looking = <T>(to: SshAccess, signal: AbortSignal, look: (host: HostReader) => Promise<T>) =>
    lines.use(to, signal, ssh => look(hostReader(to, ssh)), true)
  const changing = <T>(to: SshAccess, signal: AbortSignal, act: (host: HostWriter) => Promise<T>) =>
    lines.use(to, signal, ssh => act(hostWriter(to, ssh)))
  const powerReader = (host: string) => {
    const writer = power(host)
    return writer && readerOf(writer)
  }
  /** Whatever answers, let in by the person's key; this run's own installer may know only the key that it was given. */
  const anyone: HostsReader['anyone'] = async (host, signal, look) => {
    try {
      return await looking(access(host, 'first-use'), signal, look)
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'host-auth-refused') throw thrown
      return await looking(installerAccess(run.secret, host, access(host, [])), signal, look).catch(() => {
        throw thrown
      })
    }
  }
  const ladder = connectLadder(cluster, run, {
    address: host => where.host(host).address,
    access,
    anyone,
    look: looking,
    change: changing,
    power,
    powerReader,
    ignition,
    netboot: where.netboot,
  })
  const reader: HostsReader = {
    ...ladder.reader,
    power: powerReader,
    probe: (host, signal) => lines.probe(pinned(host), signal),
    ours: (host, signal, look) => looking(pinned(host), signal, look),
    anyone,
  }
  return {
    reader,
    writer: {
      ...reader,
      ...ladder.writer,
      power,
      changeOurs: (host, signal, act) => changing(pinned(host), signal, act),
    },
    close: async () => {
      await ladder.close()
      await Promise.all([lines.close(), ...[...powers.values()].map(p => p.close())])
    },
  }
}
