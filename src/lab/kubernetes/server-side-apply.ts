import type { KubernetesObject } from '../blueprint.ts'
import { complete, mustStay } from './admission.ts'
import { managed } from './field-owners.ts'
import { at, fromFieldsV1, leaves, liesAbove, mergeApplied, removeAll, toFieldsV1 } from './fields.ts'
import { conflicted } from './refusals.ts'
import { type ResourceType, topLevelOf } from './resources.ts'
import type { ManagedFields, Ref, Stored } from './stored.ts'

/**
 * What server-side apply makes of an object that is there, with owners and conflicts.
 *
 * @param applied what the manager wants, as far as it may say it
 * @throws StatusError for conflicts that are not forced, and for what the kind does not allow
 */
export function applyTo(
  ref: Ref,
  there: Stored,
  applied: KubernetesObject,
  manager: string,
  options: { force?: boolean; status?: boolean },
): Stored {
  const { schema } = ref.resource
  const mine = leaves(applied, schema)
  const fields = there.metadata.managedFields ?? []
  const subresource = options.status ? 'status' : undefined
  const own = (f: ManagedFields) =>
    f.manager === manager && f.operation === 'Apply' && f.subresource === subresource
  const others = fields.filter(f => !own(f))
  const conflicts = others.flatMap(f =>
    [...fromFieldsV1(f.fieldsV1)]
      .filter(
        path =>
          mine.has(path) &&
          JSON.stringify(at(there, path, schema)) !== JSON.stringify(at(applied, path, schema)),
      )
      .map(path => ({
        manager: f.operation === 'Apply' ? `"${f.manager}"` : `"${f.manager}" using ${f.apiVersion}`,
        path,
      })),
  )
  // kubectl may take over what its own client-side apply wrote and nobody has changed since.
  const last = manager === 'kubectl' ? lastApplied(there) : undefined
  const real = conflicts.filter(
    c => !last || JSON.stringify(at(last, c.path)) !== JSON.stringify(at(there, c.path)),
  )
  if (real.length > 0 && !options.force) throw conflicted(real)
  const merged = mergeApplied(structuredClone(there), applied, schema)
  // A manifest may hold what only the server writes: `creationTimestamp: null` is in every generated definition.
  const { uid, resourceVersion, creationTimestamp, generation } = there.metadata
  const { deletionTimestamp, deletionGracePeriodSeconds } = there.metadata
  merged.metadata = {
    ...merged.metadata,
    uid,
    resourceVersion,
    creationTimestamp,
    generation,
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    ...(deletionGracePeriodSeconds === undefined ? {} : { deletionGracePeriodSeconds }),
  }
  // What this manager owned and no longer names goes, unless somebody else owns it too.
  const before = fields.find(own)
  const foreign = new Set(others.flatMap(f => [...fromFieldsV1(f.fieldsV1)]))
  const dropped = [...(before ? fromFieldsV1(before.fieldsV1) : [])]
  removeAll(
    merged,
    dropped.filter(path => ![mine, foreign].some(kept => kept.has(path) || liesAbove(path, kept))),
    schema,
  )
  const next = complete(ref.resource, merged, there)
  mustStay(ref.resource, there, next)
  const lost = new Set(conflicts.map(c => c.path))
  next.metadata.managedFields = [
    ...others
      .map(f => ({
        ...f,
        fieldsV1: toFieldsV1(new Set([...fromFieldsV1(f.fieldsV1)].filter(p => !lost.has(p)))),
      }))
      .filter(f => Object.keys(f.fieldsV1).length > 0),
    managed(manager, 'Apply', next, mine, subresource),
  ]
  return next
}

/** A field that a kind does not have, in the words of the library that applies. */
export function undeclared(resource: ResourceType, given: KubernetesObject): string | undefined {
  const slip = Object.keys(given).find(field => topLevelOf(resource)?.includes(field) === false)
  return slip === undefined ? undefined : `.${slip}: field not declared in schema`
}

function lastApplied(object: Stored): unknown {
  const text = object.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration']
  return text === undefined ? undefined : JSON.parse(text)
}
