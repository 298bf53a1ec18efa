import type { DiskBlueprint, HostBlueprint } from '../blueprint.ts'
import type { Nodes } from '../nodes/nodes.ts'
import type { ApiSeam, BootTarget, NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import type { Given } from './firmware.ts'
import type { Kept } from './kept.ts'

export type System = 'old-os' | 'installer' | 'flatcar'

/** Everything that a machine remembers. Times are epoch milliseconds of the lab's own clock. */
export interface MachineState {
  name: string
  /** `firmware`: it is on and looks for something to boot; `hung`: it is on and answers nobody. */
  system: System | 'off' | 'firmware' | 'hung'
  /** Command line of the running kernel. */
  commandLine?: string
  /** Config of the installer that runs, if it was given one. */
  given?: string
  /** What the next boot, and only that, comes from. */
  bootOverride?: BootTarget
  /** Address of the image in the virtual drive. */
  media?: string
  /** What `kexec -l` has loaded. */
  loaded?: Given
  /** Not reachable before: it boots. */
  upAt: number
  bootId: string
  /** Host key of the running system, OpenSSH private format. */
  hostKey: string
  files: Record<string, FileModel>
  units: Record<string, UnitModel>
  disks: DiskModel[]
}

export interface FileModel {
  /** Its text; the last part of it where it is long. */
  text: string
  mode: string
  /** root, where nothing is said. */
  owner?: 'core'
  /** Of all of it. */
  sha256?: string
  bytes?: number
  /** Its last part in base64, where it is not text. */
  tail?: string
}

export interface DiskModel extends DiskBlueprint {
  /** What would boot from it. */
  system?: 'old-os' | 'flatcar' | 'half-written'
  /** The config that the installer put on it. */
  ignition?: string
  /** `flatcar-reset` has marked it: the next boot begins anew with that config. */
  resetTo?: string
  /** What the system on it has written since it was made. */
  kept?: Kept
  /** How often it was written whole. */
  writes: number
}

export interface UnitModel {
  active: string
  result: string
  exitCode: number
  endsAt?: number
  script?: string
}

export interface Output {
  code: number
  stdout: string
  stderr: string
  /** The line drops after this answer, or instead of it. */
  drops?: boolean
  /** How long it takes until the answer is there; `never` as from a machine that vanishes without a word. */
  takesMs?: number | 'never'
  /** Address of what is to be printed. */
  fetches?: string
}

/** What programs reach of the machine that they run on. */
export interface Surroundings {
  readonly world: World
  readonly blueprint: HostBlueprint
  readonly state: MachineState
  nas(): NasSeam | undefined
  api(): ApiSeam | undefined
  /** What it does with disks of the NAS. */
  nodes(): Nodes | undefined
  /** Whether a system runs that programs can run on. */
  isUp(): boolean
  hostname(): string
  /** iSCSI name of the system that runs. */
  initiator(): string
  /** Counts a change under the machine's name. */
  changed(what: string): void
  /** Boots anew, as the firmware finds it. */
  boot(): void
  /** Boots what `kexec -l` has loaded, with no firmware between. */
  bootLoaded(loaded: Given): void
  hang(): void
  powerOff(): void
}

/** An answer of a program that went well. */
export function said(stdout: string): Output {
  return { code: 0, stdout, stderr: '' }
}

/** An answer of a program that did not. */
export function failed(code: number, stderr: string): Output {
  return { code, stdout: '', stderr: `${stderr}\n` }
}
