import type { KubernetesObject } from '../../kubernetes/kubernetes.ts'

/** One object of a cluster's datastore, as it was last written or, when it is gone, as it last was. */
export interface StoredObject {
  /** `/registry/persistentvolumes/pvc-…`. */
  key: string
  /** Revision of the cluster at which it was written. */
  revision: number
  /** It was deleted; `object` is what it was before, as far as that is still there. */
  deleted: boolean
  object: KubernetesObject
}

/** Reads what the map needs of a datastore that nobody serves any more. */
export interface Datastore {
  kind: 'kine' | 'etcd'
  /** The objects below these prefixes, each once, in its newest state. Deleted ones where they can still be read. */
  objects(prefixes: readonly string[]): StoredObject[]
  /** What a person should know of how it was read: dropped transactions, values that could not be decoded. */
  remarks: string[]
  close(): void
}

/** The namespace whose UID tells one cluster from another: it is made once, with the cluster, and cannot be deleted. */
export const identityKey = '/registry/namespaces/kube-system'

/** The UID of the namespace kube-system among some objects; undefined where it is not there or could not be read. */
export function clusterUidIn(objects: readonly StoredObject[]): string | undefined {
  return objects.find(o => o.key === identityKey && !o.deleted)?.object.metadata.uid
}

/** What the volume map is made of. */
export const volumePrefixes = [
  '/registry/persistentvolumes/',
  '/registry/persistentvolumeclaims/',
  '/registry/storageclasses/',
  '/registry/storage.k8s.io/volumeattachments/',
  '/registry/volumeattachments/',
  '/registry/postgresql.cnpg.io/clusters/',
  // Whose a claim is, its pods know.
  '/registry/pods/',
  '/registry/replicasets/',
] as const
