import type { KubernetesObject } from '../blueprint.ts'
import { at, fromFieldsV1, leaves, toFieldsV1 } from './fields.ts'
import type { ResourceType } from './resources.ts'
import type { ManagedFields, Stored } from './stored.ts'

/** The entry of a manager that owns these fields. */
export function managed(
  manager: string,
  operation: 'Apply' | 'Update',
  object: KubernetesObject,
  paths: Set<string>,
  subresource?: string,
): ManagedFields {
  return {
    manager,
    operation,
    apiVersion: object.apiVersion,
    fieldsType: 'FieldsV1',
    fieldsV1: toFieldsV1(paths),
    ...(subresource === undefined ? {} : { subresource }),
  }
}

/** Fields that an ordinary write changed belong to its writer from then on. */
export function ownChanged(next: Stored, there: Stored, manager: string, { schema }: ResourceType): void {
  const changed = new Set(
    [...leaves(next, schema)].filter(
      path => JSON.stringify(at(next, path, schema)) !== JSON.stringify(at(there, path, schema)),
    ),
  )
  if (changed.size === 0) return
  const fields = (next.metadata.managedFields ?? []).map(f => ({
    ...f,
    fieldsV1: toFieldsV1(new Set([...fromFieldsV1(f.fieldsV1)].filter(p => !changed.has(p)))),
  }))
  const mine = fields.find(f => f.manager === manager && f.operation === 'Update')
  if (mine) mine.fieldsV1 = toFieldsV1(new Set([...fromFieldsV1(mine.fieldsV1), ...changed]))
  else fields.push(managed(manager, 'Update', next, changed))
  next.metadata.managedFields = fields.filter(f => Object.keys(f.fieldsV1).length > 0)
}
