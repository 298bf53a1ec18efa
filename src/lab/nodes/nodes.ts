/** A LUN as a node mounts it. */
export interface MountedDisk {
  handle: string
  /** Empty where it is to be found out. */
  fsType: string
  readOnly: boolean
}

/** A machine as its disks and the NAS see it. */
export interface DiskUser {
  name: string
  address: string
  initiator: string
}

/** How a program ended, and its last word. */
export interface ProgramEnd {
  code: number
  message: string
}

/** How a command in a container ended. */
export interface PodProgramEnd {
  exit: number
  stdout: string
  stderr: string
}

/** A program of a Job's container, and what it finds around it. */
export interface PodProgram {
  script: string
  environment: Record<string, string>
  /** What the container may do as root: `CHOWN`; all of it where nothing is said. */
  capabilities: string[] | undefined
  /** Path in the container to the volume that is mounted there. */
  mounts: Record<string, { handle: string; readOnly: boolean }>
  /** Names of the cluster's Services are known. */
  dnsIsUp: boolean
  /** What breaks a copy off when half of it is there; asked once in each. */
  halfWay: () => ProgramEnd | undefined
}

/** How the unit that copies a LUN ended, and the files that it left: path to text. */
export interface CopyUnitEnd {
  code: number
  files: Record<string, string>
}

/**
 * What machines do with disks that they are logged in to, and the programs that run beside these. Whatever takes time is
 * asked for over and over until it is there; {@link onChange} tells when to ask again.
 */
export interface Nodes {
  /** Calls back whenever something that was asked for is there, or failed. */
  onChange(changed: () => void): void
  /**
   * Logs a machine in to a LUN and mounts it, with a new file system where there is none and it may be written. True once
   * it is so. Throws an Error with the words of iscsiadm or mount.
   */
  mount(disk: MountedDisk, machine: DiskUser): boolean
  /**
   * Ends the programs of pods that are gone, and unmounts and logs out of whatever no pod uses any more.
   * @param used `HANDLE MACHINE` of each disk that a pod has or waits for
   * @param pods uids of those that are there
   * @param volumes handles of all volumes of the cluster
   */
  letGo(used: ReadonlySet<string>, pods: ReadonlySet<string>, volumes: string[], machines: DiskUser[]): void
  /** Runs a pod's program once; undefined while it runs. */
  run(pod: string, program: PodProgram): ProgramEnd | undefined
  /** What an application does with a volume that is empty: it begins anew. False while it looks. */
  begin(pod: string, handle: string, text: string): boolean
  /** Carries out a command on what is mounted; undefined for a program that is not there. */
  exec(command: string[], mounts: Record<string, string>): Promise<PodProgramEnd | undefined>
  /** Runs the unit that copies one LUN to another; undefined while it runs. `id` tells one start of it from another. */
  copy(id: string, script: string, machine: DiskUser): CopyUnitEnd | undefined
  /** Ends such a unit before its time. */
  endCopy(id: string): void
  /** Lets go of everything. */
  close(): Promise<void>
}
