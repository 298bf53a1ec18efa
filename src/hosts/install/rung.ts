import type { Disk } from '../disks.ts'
import type { HostWriter } from '../host.ts'
import type { PreparedIgnition } from '../ignition/prepare.ts'

/** The system image that is written to a disk, and what it must hash to. */
export interface SystemImage {
  /** Path on the machine that runs recover. */
  file: string
  sha256?: string | undefined
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
  wait<T>(what: string, probe: () => Promise<T | undefined>, options?: { impatient?: boolean }): Promise<T>
}

/** One way to get a machine into a state from which its disk can be written. Tried in the order that the person gives. */
export interface InstallRung {
  name: string
  /** One sentence for the plan: what this rung would do to get an installer running on the machine. */
  says(host: string): string
  /** Gets an installer running, or throws a Fault that says what it left behind. */
  bringUp(host: string, guidance: Guidance): Promise<void>
}

export type { HostWriter }
