import type { KubernetesObject } from '../blueprint.ts'
import type { ResourceType } from './resources.ts'

/** An object as the server keeps it: its metadata is complete. */
export interface Stored extends KubernetesObject {
  metadata: KubernetesObject['metadata'] & {
    name: string
    uid: string
    resourceVersion: string
    creationTimestamp: string
    generation: number
    labels?: Record<string, string>
    annotations?: Record<string, string>
    finalizers?: string[]
    deletionTimestamp?: string
    deletionGracePeriodSeconds?: number
    ownerReferences?: { kind: string; name: string; uid: string }[]
    managedFields?: ManagedFields[]
  }
}

/** Which manager owns which fields, as the object’s metadata says it. */
export interface ManagedFields {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  fieldsType: 'FieldsV1'
  fieldsV1: object
  subresource?: string
}

/** Names one object. */
export interface Ref {
  resource: ResourceType
  namespace?: string | undefined
  name: string
}
