import type { WebAnswer, WebQuestion } from '../src/checks/http.ts'
import type { Names } from '../src/checks/names.ts'
import type { Cluster } from '../src/cluster/load.ts'
import type { Detour } from '../src/gitops/argocd-repository.ts'
import type { GitReader } from '../src/gitops/repository.ts'
import type { EvidenceReader, EvidenceWriter } from '../src/hosts/evidence.ts'
import type { HostReader, HostWriter } from '../src/hosts/host.ts'
import type { CompiledIgnition } from '../src/hosts/ignition/compile.ts'
import type { IgnitionConfig } from '../src/hosts/ignition/config.ts'
import type { KeptSource } from '../src/hosts/ignition/source-kit.ts'
import type { TangReader } from '../src/hosts/ignition/tang.ts'
import type { VerifiedArtifact } from '../src/hosts/install/artifact.ts'
import type { RungOutlook } from '../src/hosts/install/ladder.ts'
import type {
  Artifact,
  FoundInstaller,
  Guidance,
  Leftover,
  RungName,
  Situation,
} from '../src/hosts/install/rung.ts'
import type { ServedTo } from '../src/hosts/install/served-sources.ts'
import type { Writing } from '../src/hosts/install/write-disk.ts'
import type { HostKey } from '../src/hosts/keys.ts'
import type { PowerReader, PowerWriter } from '../src/hosts/power/power.ts'
import type { Probe } from '../src/hosts/ssh.ts'
import type { PodCommands } from '../src/kubernetes/exec.ts'
import type { ApplyFlags } from '../src/kubernetes/k0sctl.ts'
import type { KubernetesObject, KubernetesReader, KubernetesWriter } from '../src/kubernetes/kubernetes.ts'
import type { NasReader, NasWriter } from '../src/nas/nas.ts'
import type { Fault } from '../src/runbook/fault.ts'
import { type Acting, kit } from '../src/runbook/step.ts'
import type { Secrets } from '../src/secrets/resolve.ts'
import type { FormerRun } from '../src/volumes/old-disks.ts'
import type { ResticSnapshot } from '../src/volumes/restic.ts'

/** What this run is, for steps that leave their mark on the world. */
export interface RunIdentity {
  id: string
  /** The host key that this run gives a host. */
  hostKey(host: string): HostKey
  /** Every host key that this run gives a host, that one first. */
  hostKeys(host: string): HostKey[]
}

/** Ways to a machine. One line is kept to each; it is opened with the first piece of work, and again when it was lost. */
export interface HostsReader extends LadderReader {
  /** Looks who answers, comparing with the host keys that this run gave. */
  probe(host: string, signal: AbortSignal): Promise<Probe>
  /** The machine of this run: its host key is the one that we minted. */
  ours<T>(host: string, signal: AbortSignal, look: (host: HostReader) => Promise<T>): Promise<T>
  /** Whatever answers now, an old system or an installer: only for looking. */
  anyone<T>(host: string, signal: AbortSignal, look: (host: HostReader) => Promise<T>): Promise<T>
  /** Who switches it; undefined where recover.yaml names nobody. */
  power(host: string): PowerReader | undefined
}

/** The ways to install a host, seen and not gone. */
export interface LadderReader {
  /** A system that runs on the host and from which its disk can be written, if there is one. */
  installer(host: string, signal: AbortSignal): Promise<FoundInstaller | undefined>
  /** Everything that the rungs decide by. */
  situation(host: string, signal: AbortSignal): Promise<Situation>
  /** What each rung would do now, or why it cannot be tried. */
  ladder(host: string, signal: AbortSignal): Promise<RungOutlook[]>
  /** The first rung that can be tried now. */
  firstRung(host: string, signal: AbortSignal): Promise<RungName | undefined>
  /** What this run has put up at the host's BMC and not yet taken down. */
  leftovers(host: string): Leftover[]
  /** A process of this run told it to boot another system. Tells something only while nothing answers. */
  away(host: string): boolean
  /** Reads a file of recover.yaml whole and checks it by hash and signature. */
  verify(what: string, artifact: Artifact): Promise<VerifiedArtifact>
}

export interface LadderWriter extends LadderReader {
  /**
   * Gets an installer running by the first rung that leads to one. A machine that is away is waited for first, and one that
   * runs this run's system already is left as it is.
   */
  climb(host: string, guidance: Guidance): Promise<void>
  /** An installer, known by the host key that it showed when we looked. */
  changeInstaller<T>(
    host: string,
    installer: FoundInstaller,
    signal: AbortSignal,
    act: (host: HostWriter) => Promise<T>,
  ): Promise<T>
  /** The old system, known by the host key that it showed when we looked. */
  changeSeen<T>(
    host: string,
    hostKey: string,
    signal: AbortSignal,
    act: (host: HostWriter) => Promise<T>,
  ): Promise<T>
  /** Takes down whatever is still armed for this host: network boot, the virtual drive, an order for the next boot. */
  disarm(host: string, signal: AbortSignal): Promise<void>
  /** Serves copies of the kit to a host until they are withdrawn, by this process or its successor. */
  serveSources(host: string, copies: readonly KeptSource[]): Promise<ServedTo>
  withdrawSources(host: string): void
  /** The image for a host, how it is checked, and where the machine may fetch it. */
  imageFor(host: string): Pick<Writing, 'image' | 'verify' | 'mirror'>
}

export interface HostsWriter extends HostsReader, LadderWriter {
  changeOurs<T>(host: string, signal: AbortSignal, act: (host: HostWriter) => Promise<T>): Promise<T>
  power(host: string): PowerWriter | undefined
}

/** k0sctl, which is only asked who it is. */
export interface K0sctlReader {
  version(signal: AbortSignal): Promise<string>
  /** The API as workers are told to join it: `https://192.0.2.11:6443`. */
  joinAddress(): string
}

/** k0sctl, told where the hosts are and which host keys they have. */
export interface K0sctlWriter extends K0sctlReader {
  /**
   * `k0sctl apply`, on the controllers alone or on all hosts. Returns what it says is wrong, undefined when it says that
   * it is through; only a look at the hosts tells what is so.
   */
  apply(
    hosts: 'controllers' | 'all',
    flags: ApplyFlags,
    signal: AbortSignal,
    note: (text: string) => void,
  ): Promise<Fault | undefined>
  /**
   * Puts the admin kubeconfig where the API client looks for it, once it has opened the cluster that it must be; an API
   * that does not answer yet is waited for.
   */
  fetchKubeconfig(
    mustBe: { clusterUid: string; wait: Acting['wait'] } | undefined,
    signal: AbortSignal,
    note: (text: string) => void,
  ): Promise<void>
}

/** What can be asked from outside the cluster. Never throws for what does not answer: `why` says what happened. */
export interface Outside {
  /** Why an address gives a machine nothing at its first boot, as this computer sees it; undefined where it must not be asked. */
  whyAway(url: string, signal: AbortSignal): Promise<{ why: string | undefined } | undefined>
  get(question: WebQuestion, signal: AbortSignal): Promise<WebAnswer>
  takesConnections(
    place: { address: string; port: number },
    signal: AbortSignal,
  ): Promise<{ open: boolean; why: string }>
}

/** The kit's mirror of the repository. */
export interface MirrorReader {
  /** Where it lies, and at which commit; undefined where the kit has none. */
  standsAt(signal: AbortSignal): Promise<{ path: string; commit: string } | undefined>
  /** The way by which this process serves it now; its proxy's password is a secret. */
  serving(): Detour | undefined
}

export interface MirrorWriter extends MirrorReader {
  /** Serves it until this process ends or is told to stop. Fault `mirror-port-taken`. */
  serve(): Promise<Detour>
  stop(): Promise<void>
}

/** What a person has named on the command line, for runbooks that are about just that. */
export interface Asked {
  chosen: readonly string[]
  /** Without waiting for the time that what was left behind is kept. */
  atOnce: boolean
  /** The living cluster that it is about, by the kubeconfig that leads to it; absent for one that the run itself makes. */
  kubeconfig?: string
  /** The context in that file; its current one where this is absent. */
  context?: string
}

/** What observing may reach. Nothing here can change anything. */
export interface Readers {
  asked: Asked
  /** Runs on this cluster that came to their end, oldest first. */
  former(): FormerRun[]
  cluster: Cluster
  run: RunIdentity
  hosts: HostsReader
  nas: NasReader
  kubernetes: KubernetesReader
  /** Which server is asked, and by which context of the kubeconfig. */
  clusterAccess(): Promise<{ server: string; context: string }>
  k0sctl: K0sctlReader
  /** Where secret values come from; nothing that it gives may be printed or kept. */
  secrets: Pick<Secrets, 'field' | 'has' | 'sealed'>
  /** What this home needs from there to be reached at all. */
  wantedSecrets: readonly { secret: string; field: string }[]
  /** The snapshots in the repository of a claim's backups. */
  backups(claim: string, signal: AbortSignal): Promise<ResticSnapshot[]>
  names: Names
  git: GitReader
  mirrors: MirrorReader
  web: Outside
  /**
   * Runs a person's own checks in pods; recover.yaml says that they only look. Undefined while a plan is made: nobody can
   * promise for them.
   */
  pods: PodCommands | undefined
  /** A host's Ignition config, compiled from the person's file; the same text for the whole run. Never printed. */
  ignition(host: string, signal: AbortSignal): Promise<CompiledIgnition>
  /**
   * The same config by the compiler that is not used: a program butane on PATH, or the built-in one where recover.yaml
   * names a program. Undefined for what is not compiled, and where there is no other.
   */
  otherIgnition(
    host: string,
    signal: AbortSignal,
  ): Promise<({ by: string } & ({ config: IgnitionConfig } | { fault: Fault })) | undefined>
  /** What this run has kept of its machines before it changed them. */
  evidence: EvidenceReader
  /** Whom recover logs in as, and the public keys that the person holds; undefined where nobody can tell. */
  login: { user(host: string): string; held(): Promise<readonly string[] | undefined> }
  tang: TangReader
  /** The manifests of a part of the bootstrap, rendered. */
  manifests(part: string, signal: AbortSignal): Promise<KubernetesObject[]>
  /** What an application brings, rendered with what it takes from elsewhere. */
  applicationManifests(application: string, signal: AbortSignal): Promise<KubernetesObject[]>
}

/** What applying may reach. */
export interface Writers extends Readers {
  hosts: HostsWriter
  nas: NasWriter
  kubernetes: KubernetesWriter
  k0sctl: K0sctlWriter
  evidence: EvidenceWriter
  mirrors: MirrorWriter
}

export const { step, fanOut, fanOutFrom } = kit<Readers, Writers>()
