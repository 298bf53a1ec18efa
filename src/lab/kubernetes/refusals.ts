import type { KubernetesObject } from '../blueprint.ts'
import { showPath } from './fields.ts'
import { StatusError } from './status-error.ts'
import type { Ref, Stored } from './stored.ts'

/** Nothing of that name is there. */
export function notFound(ref: Ref): StatusError {
  return new StatusError(404, 'NotFound', `${shown(ref)} "${ref.name}" not found`, detailsOf(ref))
}

/** Nothing new comes into a namespace that is on its way out. */
export function namespaceTerminating(ref: Ref, namespace: string): StatusError {
  return new StatusError(
    403,
    'Forbidden',
    `${shown(ref)} "${ref.name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    {
      ...detailsOf(ref),
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    },
  )
}

/** Optimistic concurrency: who says which version or incarnation is meant is held to it. */
export function mustBeLatest(ref: Ref, there: Stored, given: KubernetesObject): void {
  const { resourceVersion, uid } = given.metadata
  const conflict = (why: string) =>
    new StatusError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${shown(ref)} "${ref.name}": ${why}`,
      detailsOf(ref),
    )
  if (typeof uid === 'string' && uid !== '' && uid !== there.metadata.uid)
    throw conflict(
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${there.metadata.uid}`,
    )
  if (
    typeof resourceVersion === 'string' &&
    resourceVersion !== '' &&
    resourceVersion !== there.metadata.resourceVersion
  )
    throw conflict(
      'the object has been modified; please apply your changes to the latest version and try again',
    )
}

/** The preconditions of a deletion: who says which version or incarnation is meant deletes no other. */
export function mustMeet(ref: Ref, there: Stored, wanted: { uid?: string; resourceVersion?: string }): void {
  const { uid, resourceVersion } = there.metadata
  const conflict = (what: string, asked: string, is: string, since: string) =>
    new StatusError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${ref.resource.kind} "${ref.name}": the ${what} in the precondition (${asked}) does not match the ${what} in record (${is}). The object might have been ${since}`,
      { name: ref.name, kind: ref.resource.kind },
    )
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion)
    throw conflict('ResourceVersion', wanted.resourceVersion, resourceVersion, 'modified')
  if (wanted.uid !== undefined && wanted.uid !== uid)
    throw conflict('UID', wanted.uid, uid, 'deleted and then recreated')
}

/** The refusal of an apply in the server's form: one conflict in a line, several as a list by manager. */
export function conflicted(conflicts: { manager: string; path: string }[]): StatusError {
  const causes = conflicts.map(c => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${c.manager}`,
    field: showPath(c.path),
  }))
  const [first] = causes
  const managers = [...new Set(conflicts.map(c => c.manager))].sort()
  const list = managers.flatMap(manager => [
    `conflicts with ${manager}:`,
    ...conflicts.filter(c => c.manager === manager).map(c => `- ${showPath(c.path)}`),
  ])
  return new StatusError(
    409,
    'Conflict',
    conflicts.length === 1
      ? `Apply failed with 1 conflict: ${first?.message}: ${first?.field}`
      : `Apply failed with ${conflicts.length} conflicts: ${list.join('\n')}`,
    { causes },
  )
}

/** `deployments.apps`, as messages name a resource. */
export function shown({ resource }: Ref): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
}

/** What a Status tells programs of the object that it is about. */
export function detailsOf({ resource, name }: Ref): object {
  return { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural }
}
