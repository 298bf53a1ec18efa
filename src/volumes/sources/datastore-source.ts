import { parseSize } from '../../cluster/size.ts'
import { type Datastore, type StoredObject, volumePrefixes } from '../datastore/stored-object.ts'
import type { VolumeSource, VolumeTestimony } from './volume-source.ts'

interface VolumeSpec {
  capacity?: { storage?: string }
  csi?: { driver?: string; volumeHandle?: string }
  claimRef?: { namespace?: string; name?: string; uid?: string }
  storageClassName?: string
}

interface ClaimSpec {
  volumeName?: string
}

/** Which claim was which volume, by the PersistentVolumes and claims of a dead cluster's datastore. Closes it. */
export function readDatastore(name: string, datastore: Datastore): VolumeSource {
  try {
    const objects = datastore.objects(volumePrefixes)
    const volumes = objects.filter(o => o.object.kind === 'PersistentVolume')
    const claims = new Map(
      objects
        .filter(o => o.object.kind === 'PersistentVolumeClaim')
        .map(o => [`${o.object.metadata.namespace}/${o.object.metadata.name}`, o]),
    )
    const testimonies = volumes.flatMap(volume => testimonyOf(name, volume, claims))
    return { name, testimonies, remarks: datastore.remarks }
  } finally {
    datastore.close()
  }
}

function testimonyOf(
  source: string,
  volume: StoredObject,
  claims: Map<string, StoredObject>,
): VolumeTestimony[] {
  const spec = (volume.object.spec ?? {}) as VolumeSpec
  const { driver, volumeHandle } = spec.csi ?? {}
  if (volumeHandle === undefined || spec.claimRef?.name === undefined) return []
  const id = `${spec.claimRef.namespace}/${spec.claimRef.name}`
  const claim = claims.get(id)
  const name = volume.object.metadata.name ?? ''
  // A volume that was released keeps the name of a claim that has another one by now.
  const moved = claim !== undefined && !claim.deleted && (claim.object.spec as ClaimSpec)?.volumeName !== name
  const owner = (claim?.object.metadata.ownerReferences as { kind: string; name: string }[] | undefined)?.[0]
  return [
    {
      source,
      claim: id,
      lun: volumeHandle,
      volume: name,
      ...(driver === undefined ? {} : { driver }),
      ...(spec.capacity?.storage === undefined
        ? {}
        : { sizeBytes: parseSize(spec.capacity.storage, volume.key) }),
      ...(spec.storageClassName === undefined ? {} : { storageClass: spec.storageClassName }),
      ...(owner === undefined ? {} : { owner: `${owner.kind} ${owner.name}` }),
      ...(volume.deleted || moved || (claim?.deleted ?? false) ? { deleted: true } : {}),
    },
  ]
}
