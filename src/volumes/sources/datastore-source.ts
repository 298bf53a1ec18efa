import { type Datastore, volumePrefixes } from '../datastore/stored-object.ts'
import { testimoniesOf } from './cluster-objects.ts'
import type { VolumeSource } from './volume-source.ts'

/** Which claim was which volume, by the objects of a dead cluster's datastore. Closes it. */
export function readDatastore(name: string, datastore: Datastore): VolumeSource {
  try {
    const objects = datastore.objects(volumePrefixes)
    return { name, testimonies: testimoniesOf(name, objects), remarks: datastore.remarks }
  } finally {
    datastore.close()
  }
}
