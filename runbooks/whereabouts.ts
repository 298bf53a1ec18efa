import type { WebRoute } from '../src/checks/http.ts'
import type { BootstrapPart } from '../src/cluster/bootstrap.ts'
import type { Cluster } from '../src/cluster/load.ts'
import type { TangRoute } from '../src/hosts/ignition/tang.ts'
import type { DhcpAnswers } from '../src/hosts/netboot/dnsmasq.ts'
import type { PowerAccess } from '../src/hosts/power/connect-power.ts'
import type { OpenSsh } from '../src/hosts/ssh.ts'
import type { KubernetesObject } from '../src/kubernetes/kubernetes.ts'
import type { RunFolder } from '../src/runbook/run-folder.ts'
import type { Limited } from '../src/runbook/time.ts'
import type { Secrets } from '../src/secrets/resolve.ts'
import type { ResticSnapshot } from '../src/volumes/restic.ts'
import type { MirrorPlace } from './connect-mirror.ts'
import type { NasPlace } from './connect-nas.ts'
import type { Asked } from './kit.ts'

/** Where everything is: the real home, or the lab that stands in for it. */
export interface Whereabouts {
  host(name: string): { address: string; port: number; user: string }
  /** How a machine is switched; undefined where recover.yaml does not say. */
  power(name: string): PowerAccess | undefined
  /** How machines that boot reach this computer; undefined where recover.yaml does not say. */
  netboot: NetbootPlace | undefined
  /** Where the kit's mirror of the repository is served; undefined where recover.yaml does not say. */
  mirror: MirrorPlace | undefined
  /** Whether Git servers may be asked: not where everything is a lab's. */
  asksGit: boolean
  /** How the person logs in to machines; throws Fault `ssh-key-missing`. */
  login(): Login
  /** The person's own `ssh`, which knows by itself how to log in. Absent in a rehearsal, which would not hold it back. */
  openssh?: OpenSsh
  nas: NasPlace
  secrets: Secrets
  /** Secrets without which nothing can be reached. */
  wantedSecrets: readonly { secret: string; field: string }[]
  /** Lists a repository's snapshots, by what opens it; `claim` is whose backups are looked for. */
  backups(environment: Record<string, string>, signal: AbortSignal, claim: string): Promise<ResticSnapshot[]>
  /** The program k0sctl and what stands before its arguments. */
  k0sctl: readonly string[]
  /** The API at the literal address of a controller for us, and for workers where k0sctl.yaml says that it is. */
  api(whose: 'for us' | 'for workers'): string
  /** Renders what is not rendered yet. */
  manifests(part: BootstrapPart, signal: AbortSignal): Promise<KubernetesObject[]>
  /** Renders what an application brings. */
  applicationManifests(
    application: Cluster['applications'][number],
    signal: AbortSignal,
  ): Promise<KubernetesObject[]>
  web?: WebRoute
  /** The Tang server in the place of every other. */
  tang?: TangRoute
  /** Public keys that the person holds; absent where that does not matter. */
  held?: () => Promise<readonly string[] | undefined>
  /** Scales every wait; 1 in real life. */
  pace: number
  /** Changes every limit; absent in real life. */
  scaleLimit?: (limitMs: number, of: Limited) => number
}

/** How machines that boot reach this computer. */
export interface NetbootPlace {
  address: string
  port: number
  /** @param folder of the run, for what it keeps; empty for a plan, which keeps nothing */
  dhcp(folder: string): DhcpAnswers
}

/** How a run's cluster is reached; a rehearsal brings its own world. */
export type Reach = (cluster: Cluster, folder: RunFolder) => Promise<Whereabouts>

/** A key, the agent that holds it, or both. */
export interface Login {
  privateKey?: string
  /** Where that key lies, for programs of others. */
  keyFile?: string
  agent?: string
}

/** One run, as far as connections differ from run to run. */
export interface ConnectedRun {
  id: string
  secret: Buffer
  /** Where its kubeconfig lies; undefined for a plan, which has no cluster to talk to yet. */
  folder?: string
  /** Nothing is written, not even into the folder: a plan of a run that was begun. */
  onlyLooks?: boolean
  /** What the person named when they began it; nothing where the runbook is about everything. */
  asked?: Asked
  /** `real` where nothing is said. */
  mode?: string
}
