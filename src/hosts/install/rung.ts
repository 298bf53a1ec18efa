import type { WaitOptions } from '../../runbook/step.ts'
import type { Disk } from '../disks.ts'
import type { HostFacts } from '../facts.ts'
import type { HostReader, HostWriter } from '../host.ts'
import type { PreparedIgnition } from '../ignition/prepare.ts'
import type { Netboot } from '../netboot/netboot.ts'
import type { KnownMachine } from '../power/identity.ts'
import type { PowerReader, PowerWriter } from '../power/power.ts'
import type { DiskSelector } from '../resolve-disk.ts'

/** Names of the rungs, as recover.yaml has them. */
export type RungName = 'flatcar-reset' | 'ssh' | 'kexec' | 'pxe' | 'virtual-media' | 'by-hand'

/** A downloaded file, and how it is known to be whole. */
export interface Artifact {
  /** Path on the machine that runs recover. */
  file: string
  sha256?: string | undefined
  /** Path of a detached OpenPGP signature. */
  signature?: string | undefined
}

/** The system image that is written to a disk. */
export interface SystemImage extends Artifact {
  /** Its release, as /etc/os-release will say. */
  version?: string | undefined
}

/** What an installation needs to know; the same on every rung. */
export interface Installation {
  run: string
  /** The disk as it was resolved and agreed to. Compared again on the machine right before it is written. */
  disk: Disk
  image: SystemImage
  ignition: PreparedIgnition
}

/** What a rung may tell and wait with. */
export interface Guidance {
  signal: AbortSignal
  note(text: string): void
  askHand(text: string): void
  progress?(done: number, total: number, unit: string): void
  wait<T>(what: string, probe: () => Promise<T | undefined>, options?: WaitOptions): Promise<T>
}

/** What a machine is at this moment, as far as we can tell, and what there is to act with. Everything a rung decides by. */
export interface Situation {
  run: string
  host: string
  /** Address by which recover.yaml reaches it. */
  address: string
  disk: DiskSelector
  /** MAC address of the interface by which it boots from the network, as recover.yaml has it. */
  mac: string | undefined
  /** Release that recover.yaml asks for. */
  version: string | undefined
  /** What answers by SSH; undefined while nothing does. */
  seen: { facts: HostFacts; hostKey: string } | undefined
  /** Why nothing is known of it: `cannot be reached`, `lets nobody in`. */
  silence: string
  /** What recover.yaml names of the installer that we boot ourselves. */
  installer: { kernel: boolean; iso: boolean; bytes: number }
  /** Whoever switches it. */
  power: PowerReader | undefined
  /** Why no machine can boot from this computer over the network; undefined when it can. */
  netbootLacks: string | undefined
  /** This computer can serve files to machines and BMCs: recover.yaml says by which address. */
  serves: boolean
  /** What is known of the machine, to compare its BMC with; the person may vouch for that. */
  known: KnownMachine
  vouched: boolean
  /** This run has marked the old system before it was reset: it came back, then. */
  resetBefore: boolean
}

/** What answers after a rung has done its work. */
export type FoundInstaller = {
  hostKey: string
  machineSerial: string
  bootId: string
  name: string
  /** We booted it: its host key is the one that we minted, and this run's name is on its command line. */
  pinned: boolean
}

/** What a rung acts with. */
export interface Hands {
  /** Changes the system that was seen, known by the host key that it showed. */
  change<T>(act: (host: HostWriter) => Promise<T>): Promise<T>
  power: PowerWriter | undefined
  netboot: Netboot | undefined
  /** What the installer of this run is booted with; its files verified. */
  installer(networks?: StaticNetwork[]): Promise<InstallerBoot>
  /**
   * The installer as a CD, verified, with this run's name and config on its command line, served from here.
   * @param macs of all interfaces by which the machine may fetch its config; undefined where they are not known
   */
  cd(macs: readonly string[] | undefined): Promise<{ url: string; withdraw(): void }>
  /** Looks whether an installer runs from which the disk can be written. */
  found(): Promise<FoundInstaller | undefined>
  /** Looks what answers now, for telling that the old system came back. */
  look(): Promise<{ facts: HostFacts; hostKey: string } | undefined>
  /** Writes down what is armed, before it is, so that a killed run's successor takes it back. */
  leave(mark: Leftover): Promise<void>
  /** It was taken back. */
  cleared(mark: Leftover): Promise<void>
}

/** What the installer is booted with. */
export interface InstallerBoot {
  /** Files on this computer, verified. */
  kernel: string
  kernelSha256: string
  initrd: string
  initrdSha256: string
  /** Kernel arguments. */
  arguments: string
  /** Its own Ignition config; holds its host key. */
  config: string
}

/** Something that a rung puts up and must take down again. */
export type Leftover = 'boot-order' | 'media'

/** Addresses of one network interface, found by its MAC address. */
export interface StaticNetwork {
  mac: string
  /** With prefix length. */
  addresses: string[]
  gateway?: string
}

interface RungCommon {
  readonly name: RungName
  /** Why it cannot be tried now, in a few words; undefined when it can. Looks at nothing but the situation. */
  refuses(situation: Situation): string | undefined
  /** One imperative sentence: what it would do. */
  says(situation: Situation): string
}

/** One way to get a machine into a system from which its disk can be written. */
export interface InstallerRung extends RungCommon {
  readonly leadsTo: 'installer'
  /**
   * Gets an installer running, or throws a Fault that says what it left behind. Whatever it armed is disarmed either
   * way. Comes back when the installer answers.
   */
  bringUp(situation: Situation, hands: Hands, guidance: Guidance): Promise<void>
}

/** A way that needs no installer: the old system makes the new one of itself. It destroys what is on the disk. */
export interface SystemRung extends RungCommon {
  readonly leadsTo: 'system'
  /** Comes back when the machine reboots into its new system. */
  reinstall(
    host: HostWriter,
    what: Installation & { /** Of the old system. */ bootId: string },
    guidance: Guidance,
  ): Promise<void>
}

export type InstallRung = InstallerRung | SystemRung

export type { HostReader, HostWriter }
