import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { parse } from 'yaml'
import type { KubernetesObject } from '../blueprint.ts'
import { groupVersionOf, type ResourceType, topLevelOf } from './resources.ts'
import { StatusError } from './status-error.ts'

/** What a path of the API means. */
export interface Target {
  resource: ResourceType
  namespace: string | undefined
  name: string | undefined
  subresource: string | undefined
}

/** What a path names. Throws StatusError for a path that is not served. */
export function targetOf(types: ResourceType[], path: string): Target {
  const match = /^\/api(?:s\/([^/]+))?\/(v[^/]+)\/(.+)$/.exec(path)
  const [, group = '', version = '', rest = ''] = match ?? []
  const parts = rest.split('/').map(decoded)
  const served = types.filter(t => t.group === group && t.version === version)
  // A namespace is a resource itself, and the beginning of the path of what lives in it.
  const inNamespace =
    parts[0] === 'namespaces' && parts.length > 2 && !(parts.length === 3 && parts[2] === 'status')
  const resource = served.find(t => t.plural === (inNamespace ? parts[2] : parts[0]))
  if (!resource) throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  const [name, subresource, more] = inNamespace ? parts.slice(3) : parts.slice(1)
  if (more !== undefined || !(subresource === undefined || (subresource === 'status' && resource.status)))
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  if (inNamespace && !resource.namespaced)
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  return {
    resource,
    namespace: inNamespace ? parts[1] : undefined,
    name,
    subresource,
  }
}

/** Whether nothing is to be kept of a write. Throws StatusError for a value that the server does not know. */
export function isDryRun(method: string | undefined, query: URLSearchParams): boolean {
  const given = query.get('dryRun')
  if (given === null || given === 'All') return given === 'All'
  const verbs: Record<string, string> = { POST: 'Create', PUT: 'Update', PATCH: 'Patch' }
  const why = `Unsupported value: [${JSON.stringify(given)}]: supported values: "All"`
  throw badOption(verbs[method ?? ''] ?? 'Delete', 'dryRun', 'NotSupported', why)
}

/** Whether changes are wanted instead of a list. */
export function isWatch(query: URLSearchParams): boolean {
  return query.get('watch') === 'true' || query.get('watch') === '1'
}

/** An option of a request that is missing or wrong. */
export function badOption(verb: string, field: string, reason: string, why: string): StatusError {
  const kind = `${verb}Options`
  return new StatusError(422, 'Invalid', `${kind}.meta.k8s.io "" is invalid: ${field}: ${why}`, {
    group: 'meta.k8s.io',
    kind,
    causes: [{ reason: `FieldValue${reason}`, message: why, field }],
  })
}

/** Throws StatusError for whoever shows no client certificate, or none of the masters'. */
export function mustBeAdmin(request: IncomingMessage): void {
  const socket = request.socket as TLSSocket
  // A resumed TLS session counts as authorized, certificate or none.
  const { subject } = socket.getPeerCertificate()
  if (!socket.authorized || !subject) throw new StatusError(401, 'Unauthorized', 'Unauthorized')
  const groups = subject.O as string | string[] | undefined
  if (![groups].flat().includes('system:masters'))
    throw new StatusError(403, 'Forbidden', 'only system:masters may do anything in this lab')
}

/** As the real server names a manager that names itself nothing: the first word of its user agent. */
export function managerOf(request: IncomingMessage): string {
  return (request.headers['user-agent'] ?? 'unknown').split('/')[0] || 'unknown'
}

/** The object, patch or options in the body; an empty object where there is none. Throws StatusError for what cannot be read. */
export async function bodyOf(request: IncomingMessage): Promise<KubernetesObject> {
  // Said to clients that would rather speak protobuf; they speak JSON then.
  if (request.headers['content-type'] === 'application/vnd.kubernetes.protobuf')
    throw new StatusError(415, 'UnsupportedMediaType', 'this lab reads JSON and YAML, no protobuf')
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks).toString('utf8')
  if (body === '') return {} as KubernetesObject
  let value: unknown
  try {
    // Nearly everything is JSON, which is a hundred times quicker to read than YAML; definitions are megabytes.
    value = body.startsWith('{') || body.startsWith('[') ? JSON.parse(body) : parse(body)
  } catch (error) {
    try {
      value = parse(body)
    } catch {
      throw new StatusError(400, 'BadRequest', `error decoding the body: ${String(error)}`)
    }
  }
  if (typeof value !== 'object' || value === null)
    throw new StatusError(400, 'BadRequest', 'the body is no object')
  return value as KubernetesObject
}

/** Refuses an object that is not what the path names. */
export function mustFit(
  object: KubernetesObject,
  resource: ResourceType,
  namespace: string | undefined,
  name: string | undefined,
): void {
  if (typeof object?.metadata !== 'object' || object.metadata === null)
    throw new StatusError(400, 'BadRequest', 'the object provided has no metadata')
  if (object.kind !== resource.kind || object.apiVersion !== groupVersionOf(resource))
    throw new StatusError(
      400,
      'BadRequest',
      `${object.kind} in version ${JSON.stringify(object.apiVersion)} cannot be handled as a ${resource.kind}`,
    )
  const own = object.metadata?.namespace
  if (own !== undefined && namespace !== undefined && own !== namespace)
    throw new StatusError(
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    )
  if (name !== undefined && object.metadata?.name !== undefined && object.metadata.name !== name)
    throw new StatusError(
      400,
      'BadRequest',
      `the name of the object (${object.metadata.name}) does not match the name on the URL (${name})`,
    )
}

/** Refuses a field that the kind does not have, where the client asked for that. */
export function mustBeStrict(object: KubernetesObject, resource: ResourceType, query: URLSearchParams): void {
  if (query.get('fieldValidation') !== 'Strict') return
  const known = topLevelOf(resource)
  const slip = Object.keys(object).find(field => known?.includes(field) === false)
  if (slip !== undefined)
    throw new StatusError(
      400,
      'BadRequest',
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: unknown field ${JSON.stringify(slip)}`,
    )
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new StatusError(400, 'BadRequest', `the path holds an invalid escape: ${part}`)
  }
}
