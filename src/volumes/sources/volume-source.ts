import type { Protocol } from '../protocol.ts'

/** What one source says of one volume: this claim's data is on that LUN, and what else it knows about it. */
export interface VolumeTestimony {
  /** The name of the source. */
  source: string
  /** `namespace/name`; empty where the source does not know whose the volume is. */
  claim: string
  /** The volume's handle: uuid of a LUN or a share. Of a volume that is no CSI driver's, the IQN of its target. */
  lun: string
  /** Its PersistentVolume. */
  volume?: string
  /** CSI driver. */
  driver?: string
  protocol?: Protocol
  /** File system that is on it, as its PersistentVolume says. */
  fsType?: string
  sizeBytes?: number
  /** Bytes that are in use on the NAS. */
  usedBytes?: number
  storageClass?: string
  /** What made the claim or mounts it: `StatefulSet grafana/grafana`. */
  owner?: string
  /** Namespace in which it was mounted, where that is all that is known of whose it is. */
  namespace?: string
  /** The PersistentVolume or its claim was deleted, or the claim had another volume at the end. The LUN may still be there. */
  deleted?: boolean
  /** Where in the source it stands, and by which commit it was removed. */
  where?: string
  /** Another source, whose knowledge this one only has from there: the two are one witness. */
  repeats?: string
}

/** A place where it stands which claim was which volume. Reading it changes nothing. */
export interface VolumeSource {
  /** `kine:state.db`, as the person named it. */
  name: string
  /** UID of the namespace kube-system of the cluster that it tells of, where it knows. */
  clusterUid?: string
  testimonies: VolumeTestimony[]
  /** Claims that it knew and that were removed, with where that stands. */
  formerClaims?: { claim: string; where: string }[]
  /** What a person should know of how it was read. */
  remarks: string[]
}

/** The source that outweighs all others: what the person wrote down for this very recovery. */
export const person = 'recover.yaml'

/** What kind of source a name names: `kine:state.db` is `kine`. */
export function kindOf(source: string): string {
  return source.split(':')[0] ?? source
}
