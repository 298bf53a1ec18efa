import type { KubernetesReader } from '../../kubernetes/kubernetes.ts'
import { testimoniesOf } from './cluster-objects.ts'
import type { VolumeSource } from './volume-source.ts'

const kinds = [
  { apiVersion: 'v1', kind: 'PersistentVolume' },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  { apiVersion: 'v1', kind: 'Pod' },
  { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
] as const

/** Which claim is which volume, and which cluster it is, by an API that still answers. Only looks. */
export async function readCluster(
  name: string,
  cluster: Pick<KubernetesReader, 'get' | 'list'>,
): Promise<VolumeSource> {
  const lists = await Promise.all(kinds.map(kind => cluster.list(kind)))
  const objects = lists.flat().map(object => ({
    object,
    // It still has its data: what is being deleted is not gone.
    deleted: false,
  }))
  const system = await cluster.get({ apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' })
  const clusterUid = system?.metadata.uid
  return {
    name,
    ...(clusterUid === undefined ? {} : { clusterUid }),
    testimonies: testimoniesOf(name, objects),
    remarks: [],
  }
}
