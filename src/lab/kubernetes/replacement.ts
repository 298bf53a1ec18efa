import type { KubernetesObject } from '../blueprint.ts'
import { admit, complete, mustStay, withoutSlips } from './admission.ts'
import { ownChanged } from './field-owners.ts'
import type { ManagedFields, Ref, Stored } from './stored.ts'

/**
 * What an update makes of an object that is there: its status only through the subresource, where it has one.
 * Throws StatusError for what the kind does not allow.
 */
export function replaced(
  { resource }: Ref,
  there: Stored,
  replacement: KubernetesObject,
  manager: string,
  options: { status?: boolean },
): Stored {
  const given = withoutSlips(resource, admit(resource, replacement))
  const changed: Stored = options.status
    ? { ...structuredClone(there), status: structuredClone(given.status) }
    : {
        ...structuredClone(given),
        metadata: {
          ...structuredClone(given.metadata),
          name: there.metadata.name,
          uid: there.metadata.uid,
          creationTimestamp: there.metadata.creationTimestamp,
          generation: there.metadata.generation,
          resourceVersion: there.metadata.resourceVersion,
          managedFields: (
            (given.metadata.managedFields ?? there.metadata.managedFields ?? []) as ManagedFields[]
          ).filter(f => f.fieldsV1),
          ...(there.metadata.namespace ? { namespace: there.metadata.namespace } : {}),
        },
        ...(resource.status ? { status: structuredClone(there.status) } : {}),
      }
  const next = complete(resource, changed, there)
  // Nobody takes a deletion back.
  const { deletionTimestamp, deletionGracePeriodSeconds } = there.metadata
  delete next.metadata.deletionTimestamp
  delete next.metadata.deletionGracePeriodSeconds
  if (deletionTimestamp !== undefined) next.metadata.deletionTimestamp = deletionTimestamp
  if (deletionGracePeriodSeconds !== undefined)
    next.metadata.deletionGracePeriodSeconds = deletionGracePeriodSeconds
  if (!options.status) {
    mustStay(resource, there, next)
    ownChanged(next, there, manager, resource)
  }
  return next
}
