/** A block volume on the NAS. */
export interface Lun {
  uuid: string
  name: string
  sizeBytes: number
  /** Bytes that it takes on the NAS; absent where the NAS does not say. Clones count what they share, too. */
  usedBytes?: number
  /** Free text; the CSI driver writes `namespace/claim` here when it is told to. */
  description: string
  /** Where on the NAS: `/volume1`. */
  location: string
  /** `normal` when nothing is wrong. */
  status: string
  /** True while the NAS still works on it (a clone being made). */
  locked: boolean
  /** The LUN that this one was cloned from. */
  parent?: string
}

/** An iSCSI target: what an initiator logs in to. */
export interface Target {
  id: number
  name: string
  iqn: string
  enabled: boolean
  /** LUNs behind it, by uuid, with the number under which an initiator sees them. */
  mappings: { lun: string; index: number }[]
  /** Who is logged in now. */
  sessions: { initiator: string; ip: string }[]
  /** 0 means no bound. */
  maxSessions: number
  authenticated: boolean
}

/** A shared folder. */
export interface Share {
  uuid: string
  name: string
  description: string
  /** Its quota; 0 where it has none. */
  sizeBytes: number
  /** Bytes that are in it; absent where the NAS does not say. */
  usedBytes?: number
  /** Where on the NAS: `/volume1`. */
  location: string
  /** How the CSI driver takes it: for NFS where anybody may mount it by that, and for SMB otherwise. */
  protocol: 'nfs' | 'smb'
  /** Who may mount it by NFS, as its rules say: an address, a name, a network. Who has it mounted no NAS tells. */
  clients: ShareClient[]
  /** Whether the NAS can take snapshots of it and clone it: on btrfs alone. */
  snapshots: boolean
}

/** What a share held at a moment. It has no name: the moment is its name, and its description says whose it is. */
export interface ShareSnapshot {
  /** `GMT+09-2026.11.28-11.15.00`. */
  time: string
  description: string
  locked: boolean
}

/** A rule of who may mount a share by NFS. */
export interface ShareClient {
  client: string
  may: 'write' | 'read' | 'nothing'
}

/** Clients that a share's rules let write by NFS; nobody where there is no such share. */
export function mayWrite(share: Pick<Share, 'clients'> | undefined): string[] {
  return (share?.clients ?? []).filter(c => c.may === 'write').map(c => c.client)
}

export interface Snapshot {
  uuid: string
  name: string
  lun: string
  description: string
  sizeBytes: number
}

export interface NasDescription {
  model: string
  hostname: string
  volumes: { path: string; fileSystem: string; status: string; sizeBytes: number; freeBytes: number }[]
  /** 0 where the NAS does not say. */
  limits: { luns: number; targets: number; snapshotsPerLun: number }
  can: NasCapabilities
}

/** What a NAS can do for a recovery, known before anything is asked of it. */
export interface NasCapabilities {
  snapshots: boolean
  /** Copies of LUNs that move no data. */
  clones: boolean
  /** The CSI driver by which a cluster mounts its LUNs through volumes that recover writes; undefined where there is none. */
  driver: string | undefined
  /** One sentence for each thing that it cannot do. */
  lacks: string[]
}

/** A question about a NAS that matters for a recovery, and what it says. */
export interface NasAnswer {
  about: string
  says: string
  /** A recovery, or the CSI driver, would suffer from it. */
  warns?: true
}

/** One thing that was asked of a NAS, and the whole answer. */
export interface Exchange {
  api: string
  method: string
  version: number
  parameters: Record<string, unknown>
  answer: { success: boolean; data?: unknown; error?: { code: number } }
}

/** What a NAS is, what is on it and how it answers, found out by reading alone. */
export interface NasInspection {
  answers: NasAnswer[]
  /** As it was said, with every name in it: anonymise before it is kept. */
  exchanges: Exchange[]
}

/** Everything that may be asked of a NAS without changing it. Lists are read anew at every call, but for a plan (`oneLook`). */
export interface NasReader {
  describe(): Promise<NasDescription>
  luns(): Promise<Lun[]>
  targets(): Promise<Target[]>
  /** Shared folders; none where the NAS has no such thing. */
  shares(): Promise<Share[]>
  snapshots(lun: string): Promise<Snapshot[]>
  /** Snapshots of a share, by the share's uuid. */
  shareSnapshots(share: string): Promise<ShareSnapshot[]>
}

/** What changes a NAS. Every method looks first, so that repeating one is harmless, and reads back what it did. */
export interface NasWriter extends NasReader {
  /** A snapshot of that name; an existing one of the same name is returned as it is. */
  takeSnapshot(lun: string, name: string, description: string): Promise<Snapshot>
  /** Lets initiators in, or ends every session and keeps them out. */
  setTargetEnabled(target: number, enabled: boolean): Promise<Target>
  /** A copy of a LUN (or of one of its snapshots) without moving data, with a target of its own. Waits until it is usable. */
  clone(source: { lun: string; snapshot?: string }, as: { name: string; description: string }): Promise<Lun>
  /**
   * An empty LUN beside another, with a target of its own; one of that name that is there already is returned, also a larger
   * one. Throws Fault `nas-name-taken` where that one is smaller, or was cloned from another.
   */
  createLun(lun: { name: string; description: string; sizeBytes: number; beside: string }): Promise<Lun>
  /** Says in a LUN's description whose it is; the LUN itself is not touched. */
  describeLun(lun: string, description: string): Promise<void>
  /** Says in a share's description whose it is, as {@link shareDescription} has it; nothing else of it is touched. */
  describeShare(share: string, description: string): Promise<void>
  /**
   * Deletes a clone that this run made. Refuses with Fault `not-our-clone` unless its name, its description and its
   * parent all say so: no other LUN can be deleted through here. Its target, of the same name, goes with it.
   */
  dropOwnClone(clone: { uuid: string; name: string; parent: string; run: string }): Promise<void>
  /**
   * Deletes the LUN that a person has agreed to: its mapping, the LUN with its snapshots, then the target of its name that
   * led to nothing else. For good: there is no trash. Throws Fault `lun-differs` where uuid, name and size do not all fit,
   * and `lun-in-use` while anybody is logged in to it.
   */
  deleteLun(lun: { uuid: string; name: string; sizeBytes: number }): Promise<void>
  /** Deletes a snapshot that a run took (`recover-…`), by uuid and name; throws Fault `lun-differs` for any other. */
  deleteSnapshot(snapshot: { uuid: string; lun: string; name: string }): Promise<void>
  /** A locked snapshot of a share; an existing one of the same description is returned as it is. */
  snapshotShare(share: string, description: string): Promise<ShareSnapshot>
  /**
   * Lets nobody in to a share by NFS any more. Its rules stay, each with no access: one without rules would be taken for
   * one of SMB. What SMB and the NAS's own file manager let in is not touched.
   */
  closeShare(share: string): Promise<Share>
  /**
   * A share with what a snapshot of another held, without moving data, with the same quota and with rules that let nobody
   * in: the CSI driver writes them anew when it mounts it. The NAS does not tell what a share was cloned from, so that one
   * of that name must have that description ({@link shareDescription}); throws Fault `nas-name-taken` where it has not.
   */
  cloneShare(
    source: { share: string; snapshot: string },
    as: { name: string; description: string },
  ): Promise<Share>
  /**
   * Deletes the share that a person has agreed to, with everything in it and its snapshots. For good. Throws Fault
   * `share-differs` where uuid and name do not fit, and `share-in-use` while its NFS rules let anybody in.
   */
  deleteShare(share: { uuid: string; name: string }): Promise<void>
  /** Deletes a snapshot of a share that a run took, by its moment and `recover-…`; throws Fault `share-differs` for any other. */
  deleteShareSnapshot(snapshot: { share: string; time: string; description: string }): Promise<void>
  /** Deletes a clone of a share that this run made; refuses with Fault `not-our-clone` unless name and description say so. */
  dropOwnShareClone(clone: { uuid: string; name: string; run: string }): Promise<void>
}

/** Name under which a run's own clones stand; the prefix `k8s-csi` makes the CSI driver see them. */
export function cloneName(run: string, volume: string): string {
  return `k8s-csi-recover-${run}-${volume}`
}

/** The same of a share, whose name may have 32 characters at most. `volume` has eight. */
export function shareCloneName(run: string, volume: string): string {
  return `k8s-csi-recover-${volume}-${run.slice(-4)}`
}

/**
 * As much of a share's description as a NAS takes: DSM's own help says 64 characters, which the name of a claim alone may exceed.
 */
export function shareDescription(whole: string): string {
  return whole.slice(0, 64)
}
