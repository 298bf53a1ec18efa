/** The emulated NAS's tables. */
export interface NasState {
  nextLun: number
  nextTarget: number
  luns: LunState[]
  targets: TargetState[]
  snapshots: SnapshotState[]
  /** Shared folders; absent in a world that was begun before there were any. */
  shares?: ShareState[]
  nfs?: {
    enable_nfs: boolean
    enable_nfs_v4: boolean
    enabled_minor_ver: number
    nfs_v4_domain: string
    /** 1 is yes. */
    support_encrypt_share: number
    unix_pri_enable: boolean
    support_major_ver: number
    support_minor_ver: number
    read_size: number
    write_size: number
  }
}

/** A rule of who may mount a share by NFS, as it was saved. */
export type ShareRule = Record<string, unknown>

export interface ShareState {
  name: string
  uuid: string
  volume: string
  description: string
  /** MB; 0 is none. */
  quota: number
  cow?: boolean
  recycleBin?: boolean
  /** Only administrators see its recycle bin. */
  adminOnly?: boolean
  rules: ShareRule[]
  /** `of` is the kind of user: `local_user`. */
  permissions: { name: string; of?: string }[]
  snapshots: { time: string; uuid: string; description: string; locked: boolean }[]
}

export interface LunState {
  uuid: string
  lunId: number
  name: string
  size: number
  type: string
  location: string
  description: string
  parent: string
  /** Epoch milliseconds until which the NAS works on it. */
  lockedUntil: number
  /** What blkid would say; null for an unformatted one. */
  fsType: string | null
  /** What of SCSI it does, `emulate_tpu` to true; what is not said is as the NAS has it by itself. */
  attributes?: Record<string, boolean>
}

/** Kinds of LUNs by the names that clients create them with, and their numbers; null where none is known. */
export const lunTypes: Record<string, number | null> = {
  FILE: 3,
  ADV: 15,
  BLUN: 263,
  BLUN_THICK: 259,
  THIN: null,
  SINK: null,
  BLUN_SINK: null,
  BLUN_THICK_SINK: null,
  CINDER: 143,
  CINDER_BLUN: null,
  CINDER_BLUN_THICK: null,
  VDISK_BLUN: 295,
  BLOCK: null,
}

/** What a thin LUN on btrfs does where nobody asked for anything: without emulate_tpu it takes no discards. */
export const lunAttributes: Record<string, boolean> = {
  emulate_3pc: true,
  emulate_tpws: true,
  emulate_caw: true,
  emulate_tpu: false,
  emulate_fua_write: false,
  emulate_sync_cache: false,
  can_snapshot: true,
}

export interface TargetState {
  id: number
  name: string
  iqn: string
  enabled: boolean
  maxSessions: number
  mappings: { lun: string; index: number }[]
  /** Sessions of the lab's own machines. */
  sessions: { iqn: string; ip: string }[]
  /** Who has to say who he is before he is let in; absent where anybody may. */
  chap?: { user: string; password: string }
}

export interface SnapshotState {
  uuid: string
  id: number
  name: string
  lun: string
  description: string
  takenBy: string
  size: number
  created: number
}
