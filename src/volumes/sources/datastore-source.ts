import { clusterUidIn, type Datastore, identityKey, volumePrefixes } from '../datastore/stored-object.ts'
import { testimoniesOf } from './cluster-objects.ts'
import type { VolumeSource } from './volume-source.ts'

/** Which claim was which volume, and which cluster it was, by the objects of a dead cluster's datastore. Closes it. */
export function readDatastore(name: string, datastore: Datastore): VolumeSource {
  try {
    const objects = datastore.objects([...volumePrefixes, identityKey])
    const clusterUid = clusterUidIn(objects)
    return {
      name,
      ...(clusterUid === undefined ? {} : { clusterUid }),
      testimonies: testimoniesOf(name, objects),
      remarks: datastore.remarks,
    }
  } finally {
    datastore.close()
  }
}
