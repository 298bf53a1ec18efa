/**
 * Where the emulators touch each other: the wires between machines, the API server and the NAS that in a real home are
 * the network itself. Each emulator implements its own seam and is given the others'.
 */

/** What the API server needs to know of the machines. */
export interface MachinesSeam {
  /** True while at least one controller runs k0s; the API server refuses connections otherwise. */
  controlPlaneUp(): boolean
  /** Identity of the control plane's data directory; a new one means an empty cluster with a new kube-system UID. */
  controlPlaneEpoch(): string
  /** Machines whose k0s (controller+worker or worker) runs and has joined. */
  nodes(): { name: string; address: string; initiator: string; kubeletVersion: string; bootId: string }[]
}

/** What the machines need to know of the API server. */
export interface ApiSeam {
  /** Admin kubeconfig as `k0s kubeconfig admin` prints it. */
  adminKubeconfig(): string
  /** UID of the kube-system namespace. */
  clusterUid(): string
  /** `ok` from /readyz. */
  ready(): boolean
  /** Whether a node of this name is registered, and Ready. */
  node(name: string): { ready: boolean } | undefined
  /** Applies YAML as `k0s kubectl apply -f -` does. */
  apply(yaml: string): void
}

/** What machines and the CSI emulation need of the NAS. */
export interface NasSeam {
  lun(uuidOrName: string):
    | {
        uuid: string
        name: string
        sizeBytes: number
        description: string
        fsType: string | null
        /** Of the target that leads to it. */
        iqn: string | undefined
      }
    | undefined
  /** LUN, target and mapping as the CSI driver makes them; the name decides (`k8s-csi-<pv>`), repeating is harmless. Throws when full or at a limit. */
  createVolume(volume: { name: string; sizeBytes: number; description: string }): { uuid: string }
  /** A shared folder as the CSI driver makes one; its name is cut off at 32 characters and decides, repeating is harmless. */
  createShare(share: { name: string; sizeBytes: number }): { uuid: string; name: string; location: string }
  /** A LUN or a share. */
  deleteVolume(uuid: string): void
  /**
   * Mounts a shared folder as the driver does by a volume's attributes: by NFS every node of the cluster is let in, and
   * nobody else any more, by SMB a user. Resolves with the uuid of what is mounted, whichever the volume's handle names.
   * The mode of its root folder becomes what the attributes say. Throws an Error with the driver's words.
   * @param readOnly mounted so that nobody can write
   */
  mountShare(
    by: Record<string, string>,
    nodes: string[],
    user: string | undefined,
    readOnly: boolean,
  ): { uuid: string }
  /** The folder with the real files of a LUN or share. */
  filesOf(uuid: string): string
  /** Throws an Error with iscsiadm's words where a machine may not log in: the target is disabled, unmapped or at max_sessions. */
  mayLogin(uuid: string, initiator: string): void
  /** iSCSI login by a machine; throws as {@link mayLogin}. */
  login(uuid: string, initiator: string, ip: string): void
  logout(uuid: string, initiator: string): void
  /** Every session of an initiator ends, as when its machine loses power. */
  dropSessions(initiator: string): void
  /** mkfs. The files in it are gone. */
  format(uuid: string, fsType: string): void
}

/** Where a machine boots from, once. */
export type BootTarget = 'pxe' | 'cd' | 'disk'

/** What a BMC may know of its machine and do to it. */
export interface PowerSeam {
  identity(): { serial: string; uuid: string; macs: string[]; model: string }
  on(): boolean
  turnOn(): void
  /** The lab's machines go down at once either way; one that hangs does not listen to a friendly word. */
  turnOff(how: 'gracefully' | 'now'): void
  restart(): void
  bootOverride(): BootTarget | undefined
  setBootOverride(target: BootTarget | undefined): void
  media(): string | undefined
  /** Throws an Error where the drive refuses it. */
  insertMedia(url: string): void
  ejectMedia(): void
}

/** What a machine says to a program of the lab that is to be killed in the middle of this. */
export const killsItsCaller = 'lab: whoever asked for this is killed now'
