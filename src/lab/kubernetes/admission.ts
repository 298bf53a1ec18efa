import { isDeepStrictEqual } from 'node:util'
import type { KubernetesObject } from '../blueprint.ts'
import { type ResourceType, topLevelOf } from './resources.ts'
import { brokenRules } from './rules.ts'
import { type FieldProblem, problemsOf, settled } from './schema.ts'
import { StatusError } from './status-error.ts'

/** What an object lacks or may not change, in the words of the API server; refused as 422. */
export class Invalid extends StatusError {
  constructor(resource: ResourceType, name: string, ...problems: FieldProblem[]) {
    const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`
    const told = problems.map(p => `${p.field}: ${p.detail}`)
    super(
      422,
      'Invalid',
      `${kind} ${JSON.stringify(name)} is invalid: ${told.length === 1 ? told[0] : `[${told.join(', ')}]`}`,
      {
        ...(name === '' ? {} : { name }),
        ...(resource.group === '' ? {} : { group: resource.group }),
        kind: resource.kind,
        causes: problems.map(({ field, reason, detail }) => ({ reason, message: detail, field })),
      },
    )
  }
}

/** What is wrong with one field; the beginning of its text says in which way. */
function about(field: string, detail: string): FieldProblem {
  const reason = /^Required value/.test(detail)
    ? 'FieldValueRequired'
    : /^Forbidden/.test(detail)
      ? 'FieldValueForbidden'
      : 'FieldValueInvalid'
  return { field, reason, detail }
}

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
// RBAC alone takes any name that fits into a path.
const anyName = /^[^/%]+$/

/**
 * What the server makes of what it is sent: a Secret's `stringData` becomes `data`, and what only the server
 * writes is dropped. Throws {@link Invalid}.
 */
export function admit<T extends KubernetesObject>(resource: ResourceType, given: T): T {
  const { name, generateName } = given.metadata
  if (name === undefined && generateName === undefined)
    throw new Invalid(
      resource,
      '',
      about('metadata.name', 'Required value: name or generateName is required'),
    )
  const rule = resource.group === 'rbac.authorization.k8s.io' ? anyName : subdomain
  if (name !== undefined && !(typeof name === 'string' && rule.test(name) && name.length <= 253))
    throw new Invalid(
      resource,
      String(name),
      about(
        'metadata.name',
        `Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain.source.slice(1, -1)}')`,
      ),
    )
  for (const field of ['labels', 'annotations'])
    for (const [key, value] of Object.entries((given.metadata[field] as object | undefined) ?? {}))
      if (typeof value !== 'string')
        throw new Invalid(
          resource,
          String(name),
          about(`metadata.${field}`, `Invalid value: ${key} must be a string`),
        )
  const metadata = { ...given.metadata }
  if (!resource.namespaced) delete metadata.namespace
  return { ...withData(resource, given), metadata }
}

/** Without fields that its kind does not have at all; the server drops them where they are not applied. */
export function withoutSlips<T extends KubernetesObject>(resource: ResourceType, given: T): T {
  const known = topLevelOf(resource)
  if (!known) return given
  return Object.fromEntries(Object.entries(given).filter(([field]) => known.includes(field))) as T
}

/**
 * The whole object as the server keeps it: what is missing filled in, the rest held to its schema. Throws {@link Invalid}.
 * @param before the object that it replaces
 */
export function complete<T extends KubernetesObject>(
  resource: ResourceType,
  object: T,
  before?: KubernetesObject,
): T {
  const { name } = object.metadata
  if (resource.schema) {
    const problems = problemsOf(resource.schema, object)
    if (problems.length > 0) throw new Invalid(resource, String(name), ...problems)
    const filled = settled(resource.schema, object)
    const broken = brokenRules(resource.schema, filled, before)
    if (broken.length > 0) throw new Invalid(resource, String(name), ...broken)
    return filled
  }
  if (resource.kind === 'Namespace' && resource.group === '') {
    const labels = { ...(object.metadata.labels as object | undefined), 'kubernetes.io/metadata.name': name }
    return {
      ...object,
      metadata: { ...object.metadata, labels },
      spec: { finalizers: ['kubernetes'], ...(object.spec as object | undefined) },
      status: { phase: 'Active', ...(object.status as object | undefined) },
    }
  }
  if (resource.kind !== 'CustomResourceDefinition') return object
  definition(resource, object)
  const { names, ...spec } = object.spec as { names: { kind: string } }
  const filled = { singular: names.kind.toLowerCase(), listKind: `${names.kind}List`, ...names }
  return { ...object, spec: { ...spec, names: filled } }
}

function withData<T extends KubernetesObject>(resource: ResourceType, given: T): T {
  if (resource.kind !== 'Secret' || resource.group !== '' || given.stringData === undefined) return given
  const { stringData, ...rest } = given
  const encoded = Object.entries((stringData ?? {}) as Record<string, string>).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ])
  return {
    ...rest,
    data: { ...(given.data as object | undefined), ...Object.fromEntries(encoded) },
  } as unknown as T
}

function definition(resource: ResourceType, given: KubernetesObject): void {
  const spec = given.spec as
    | {
        group?: string
        scope?: string
        names?: { plural?: string; kind?: string }
        versions?: { name?: string; schema?: { openAPIV3Schema?: object } }[]
      }
    | undefined
  const name = String(given.metadata.name)
  const { group, scope, names, versions } = spec ?? {}
  if (!group || !scope || !names?.plural || !names.kind || !Array.isArray(versions) || versions.length === 0)
    throw new Invalid(
      resource,
      name,
      about('spec', 'Required value: group, scope, names.plural, names.kind and versions are required'),
    )
  if (name !== `${names.plural}.${group}`)
    throw new Invalid(
      resource,
      name,
      about(
        'metadata.name',
        `Invalid value: ${JSON.stringify(name)}: must be spec.names.plural+"."+spec.group`,
      ),
    )
  for (const [i, version] of versions.entries())
    if (version.schema?.openAPIV3Schema === undefined)
      throw new Invalid(resource, name, about(`spec.versions[${i}].schema.openAPIV3Schema`, 'Required value'))
}

/** Refuses a change of what may not change once an object is there: above all whose disk a volume or a claim is. */
export function mustStay(resource: ResourceType, there: KubernetesObject, next: KubernetesObject): void {
  const refuse = (problem: string) => {
    const [field = '', detail = ''] = problem.split(/: (.*)/s)
    throw new Invalid(resource, String(there.metadata.name), about(field, detail))
  }
  const before = (there.spec ?? {}) as Record<string, unknown>
  const after = (next.spec ?? {}) as Record<string, unknown>
  const changed = (...fields: string[]) => fields.some(f => !isDeepStrictEqual(before[f], after[f]))
  switch (`${resource.group}/${resource.kind}`) {
    case '/PersistentVolume':
      if (!isDeepStrictEqual(sourceOf(before), sourceOf(after)))
        refuse(
          'spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation',
        )
      break
    case '/PersistentVolumeClaim':
      if (!isDeepStrictEqual(fixed(before, before), fixed(after, before)))
        refuse(
          'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
        )
      break
    case '/Secret':
      if (!isDeepStrictEqual(there.type ?? 'Opaque', next.type ?? 'Opaque'))
        refuse(`type: Invalid value: ${JSON.stringify(next.type)}: field is immutable`)
      if (there.immutable === true && !isDeepStrictEqual(there.data, next.data))
        refuse('data: Forbidden: field is immutable when `immutable` is set')
      break
    case 'apps/Deployment':
    case 'apps/DaemonSet':
      if (changed('selector'))
        refuse(`spec.selector: Invalid value: ${JSON.stringify(after.selector)}: field is immutable`)
      break
    case 'apps/StatefulSet':
      if (changed('selector', 'serviceName', 'volumeClaimTemplates', 'podManagementPolicy'))
        refuse(
          "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        )
      break
    case 'batch/Job':
      if (changed('template', 'selector', 'completionMode'))
        refuse('spec.template: Invalid value: field is immutable')
      break
    case 'storage.k8s.io/StorageClass':
      for (const field of ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'])
        if (!isDeepStrictEqual(there[field], next[field]))
          refuse(`${field}: Forbidden: updates to ${field} are forbidden.`)
      break
  }
}

const aboutVolume = [
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]

function sourceOf(spec: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(spec).filter(([key]) => !aboutVolume.includes(key)))
}

/** What of a claim may not change: a volume and a class may be named once, and a bound claim may ask for another size. */
function fixed(spec: Record<string, unknown>, before: Record<string, unknown>): object {
  const { volumeAttributesClassName: _, ...rest } = spec
  if (before.volumeName === undefined) delete rest.volumeName
  else delete rest.resources
  if (before.storageClassName === undefined) delete rest.storageClassName
  return rest
}
