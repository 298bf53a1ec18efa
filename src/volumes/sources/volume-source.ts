import type { Testimony } from '../map.ts'

/** What one source says of one volume, with what else it knows about it. */
export interface VolumeTestimony extends Testimony {
  /** Its PersistentVolume. */
  volume?: string
  /** CSI driver. */
  driver?: string
  sizeBytes?: number
  storageClass?: string
  /** What made the claim: `StatefulSet grafana`. */
  owner?: string
  /** The PersistentVolume or its claim was deleted, or the claim had another volume at the end. The LUN may still be there. */
  deleted?: boolean
}

/** A place where it stands which claim was which volume. Reading it changes nothing. */
export interface VolumeSource {
  /** `kine:state.db`, as the person named it. */
  name: string
  testimonies: VolumeTestimony[]
  /** What a person should know of how it was read. */
  remarks: string[]
}
