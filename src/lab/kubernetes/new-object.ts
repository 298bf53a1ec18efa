import type { KubernetesObject } from '../blueprint.ts'
import type { Ref, Stored } from './stored.ts'
import { now } from './time.ts'

/** What keeps a deleted object until nobody uses it any more; put on it when it is made. */
export const inUse = {
  PersistentVolume: 'kubernetes.io/pv-protection',
  PersistentVolumeClaim: 'kubernetes.io/pvc-protection',
} as const

/** An object as the server begins it: its name, its identity, no status yet, and what keeps it while it is in use. */
export function newObject(ref: Ref, given: KubernetesObject, uid: string): Stored {
  const metadata = {
    ...given.metadata,
    name: ref.name,
    ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
    uid,
    resourceVersion: '',
    creationTimestamp: now(),
    generation: 1,
  }
  delete (metadata as { deletionTimestamp?: string }).deletionTimestamp
  const finalizer = ref.resource.group === '' ? inUse[ref.resource.kind as keyof typeof inUse] : undefined
  if (finalizer !== undefined)
    Object.assign(metadata, { finalizers: [...new Set([...listOf(given.metadata.finalizers), finalizer])] })
  const object = { ...given, metadata }
  if (ref.resource.status) delete (object as Partial<KubernetesObject>).status
  return object
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
