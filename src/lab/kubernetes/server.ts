import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { parse } from 'yaml'
import type { KubernetesObject } from '../blueprint.ts'
import type { Pki } from '../pki.ts'
import type { MachinesSeam } from '../seams.ts'
import type { World } from '../world.ts'
import type { ExecServer } from './exec-server.ts'
import { type Page, Pages } from './pages.ts'
import { podLog } from './pod-log.ts'
import { builtIn, groupVersionOf, type ResourceType, topLevelOf } from './resources.ts'
import { type ObjectStore, type Ref, StatusError, type Stored, type StoreEvent } from './store.ts'

// Kinds of which a deletion answers with what was there (ReturnDeletedObject in the server's own registry).
const shownWhenGone = new Set([
  'PersistentVolume',
  'PersistentVolumeClaim',
  'Pod',
  'PodTemplate',
  'ResourceQuota',
  'Service',
  'ServiceAccount',
])

/**
 * The Kubernetes API over HTTPS with client certificates: discovery, reading and writing of every kind that is served,
 * server-side apply, watches. Connections are refused while no controller runs.
 */
export class ApiServer {
  private readonly server: Server
  private readonly world: World
  private readonly machines: MachinesSeam
  private readonly store: () => ObjectStore
  private readonly sockets = new Set<Duplex>()
  private readonly pages = new Pages()

  /** @param exec runs commands in pods; refused where it is not given */
  constructor(world: World, pki: Pki, machines: MachinesSeam, store: () => ObjectStore, exec?: ExecServer) {
    this.world = world
    this.machines = machines
    this.store = store
    const identity = pki.server('kubernetes')
    this.server = createServer(
      {
        cert: identity.certificate,
        key: identity.key,
        ca: pki.ca.certificate,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => {
        this.answer(request, response).catch(error => this.refuse(response, error))
      },
    )
    this.server.on('connection', socket => {
      // Nobody listens on the port of a control plane that is down; closing at once is the nearest thing on loopback.
      if (!this.up()) {
        socket.destroy()
        return
      }
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
    })
    this.server.on('tlsClientError', () => {})
    this.server.on('upgrade', (request, socket, head) => {
      try {
        this.world.spokenToAt = performance.now()
        mustBeAdmin(request)
        if (!exec) throw new StatusError(404, 'NotFound', 'nobody runs commands in pods here')
        exec.upgrade(request, socket, head, this.store())
      } catch (error) {
        const body = JSON.stringify(statusOf(asStatus(error)))
        socket.end(
          `HTTP/1.1 ${asStatus(error).code} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
        )
      }
    })
  }

  /** Listens at the world's address; with port 0 the system chooses. Resolves with the port. */
  listen(port = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(port, this.world.address, () => resolve((this.server.address() as AddressInfo).port))
    })
  }

  close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.server.closeAllConnections()
    return new Promise(resolve => this.server.close(() => resolve()))
  }

  /** Every connection ends, as when the control plane goes away. */
  dropLines(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  private up(): boolean {
    return this.machines.controlPlaneUp()
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.world.spokenToAt = performance.now()
    const url = new URL(request.url ?? '/', 'https://kubernetes')
    if (!this.up() || this.world.strikes('api-away', 'kubernetes')) {
      request.socket.destroy()
      return
    }
    const latency = this.world.blueprint.latency.api
    if (latency > 0) await new Promise(resolve => setTimeout(resolve, latency))
    const path = url.pathname
    if (path === '/readyz' || path === '/livez' || path === '/healthz') return text(response, 'ok')
    if (path === '/version') return json(response, 200, this.versionInfo())
    if (this.world.strikes('api-throttled', 'kubernetes')) {
      response.setHeader('retry-after', '1')
      throw new StatusError(
        429,
        'TooManyRequests',
        'The request has been denied by a rate limiter, please try again later',
      )
    }
    if (this.world.strikes('kubeconfig-expired', 'kubernetes'))
      throw new StatusError(401, 'Unauthorized', 'Unauthorized')
    mustBeAdmin(request)
    // Described as holding nothing: clients then validate nothing themselves.
    if (path === '/openapi/v2') {
      response.writeHead(200, {
        'content-type': 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
      })
      response.end()
      return
    }
    const log = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/log$/.exec(path)
    if (log && request.method === 'GET')
      return text(response, podLog(this.store(), this.world, log[1] ?? '', log[2] ?? '', url.searchParams))
    const discovered = this.discovery(path)
    if (discovered) return json(response, 200, discovered)
    await this.resource(request, response, url)
  }

  private versionInfo(): object {
    const version = this.world.blueprint.kubernetesVersion
    const [major, minor] = version.split('.')
    return { major, minor, gitVersion: `v${version}+k0s`, platform: 'linux/amd64' }
  }

  private discovery(path: string): object | undefined {
    const types = this.store().resources()
    if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] }
    if (path === '/openapi/v3') return openApiIndex(types)
    if (path.startsWith('/openapi/v3/'))
      return openApiOf(types.filter(t => rootOf(t) === path.slice('/openapi/v3'.length)))
    if (path === '/apis') {
      const groups = new Map<string, Set<string>>()
      for (const t of types)
        if (t.group !== '') groups.set(t.group, (groups.get(t.group) ?? new Set()).add(t.version))
      return {
        kind: 'APIGroupList',
        apiVersion: 'v1',
        groups: [...groups].map(([name, versions]) => groupOf(name, [...versions])),
      }
    }
    const match = /^\/api(?:s\/([^/]+))?\/(v[^/]+)$/.exec(path)
    if (match) {
      const groupVersion = match[1] === undefined ? match[2] : `${match[1]}/${match[2]}`
      const served = types.filter(t => groupVersionOf(t) === groupVersion)
      if (served.length === 0)
        throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
      return {
        kind: 'APIResourceList',
        apiVersion: 'v1',
        groupVersion,
        resources: served.flatMap(t => [resourceOf(t), ...(t.status ? [subresourceOf(t, 'status')] : [])]),
      }
    }
    const group = /^\/apis\/([^/]+)$/.exec(path)
    if (!group) return undefined
    const versions = [...new Set(types.filter(t => t.group === group[1]).map(t => t.version))]
    if (versions.length === 0)
      throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    return { apiVersion: 'v1', ...groupOf(group[1] ?? '', versions) }
  }

  private async resource(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const target = this.target(url.pathname)
    const { resource, namespace, name, subresource } = target
    const store = this.store()
    const query = url.searchParams
    const dryRun = isDryRun(request.method, query)
    const manager = query.get('fieldManager') ?? managerOf(request)
    const count = (verb: string) => {
      if (!dryRun)
        this.world.countMutation(
          'kubernetes',
          `${verb} ${showRef({ resource, namespace, name: name ?? '' })}`,
        )
    }
    const ref = (): Ref => {
      if (name === undefined) throw notAllowed()
      return { resource, namespace, name }
    }
    const status = subresource === 'status'
    switch (request.method) {
      case 'GET': {
        if (name !== undefined && !isWatch(query))
          return json(response, 200, shown(resource, store.get(ref())))
        if (isWatch(query)) return this.watch(response, target, query)
        const items = store.list(resource, namespace).filter(selected(query))
        return json(response, 200, listOf(resource, this.pages.of(items, query, store.resourceVersion)))
      }
      case 'POST': {
        const object = await bodyOf(request)
        if (name !== undefined) throw notAllowed()
        mustFit(object, resource, namespace, undefined)
        mustBeStrict(object, resource, query)
        if (namespace !== undefined) object.metadata.namespace = namespace
        const created = store.create(resource, object, manager, dryRun)
        count('create')
        return json(response, 201, created)
      }
      case 'PUT': {
        const object = await bodyOf(request)
        mustFit(object, resource, namespace, name)
        const updated = store.update(ref(), object, manager, { status, dryRun })
        count('update')
        return json(response, 200, shown(resource, updated))
      }
      case 'PATCH': {
        const type = (request.headers['content-type'] ?? '').split(';')[0]
        const body = await bodyOf(request)
        if (type === 'application/apply-patch+yaml') {
          if (query.get('fieldManager') === null)
            throw badOption(
              'Patch',
              'fieldManager',
              'Required',
              'Required value: is required for apply patch',
            )
          mustFit(body, resource, namespace, name)
          if (namespace !== undefined) store.mustHaveNamespace(namespace)
          const there = store.find(ref()) !== undefined
          const force = query.get('force') === 'true'
          const applied = store.apply(ref(), body, manager, { force, dryRun, status })
          count('apply')
          return json(response, there ? 200 : 201, shown(resource, applied))
        }
        const patched = this.patch(type ?? '', ref(), body, manager, { status, dryRun })
        count('patch')
        return json(response, 200, shown(resource, patched))
      }
      case 'DELETE': {
        const options = (await bodyOf(request)) as {
          preconditions?: { uid?: string; resourceVersion?: string }
          dryRun?: string[]
          gracePeriodSeconds?: number
        }
        const asked = query.get('gracePeriodSeconds')
        const graceSeconds = options.gracePeriodSeconds ?? (asked === null ? ('own' as const) : Number(asked))
        const pretend = dryRun || (options.dryRun ?? []).includes('All')
        const remove = (doomed: Ref) => {
          const gone = store.remove(doomed, { ...options.preconditions, dryRun: pretend, graceSeconds })
          if (!pretend) this.world.countMutation('kubernetes', `delete ${showRef(doomed)}`)
          return gone
        }
        if (name === undefined) {
          const items = store.list(resource, namespace).filter(selected(query))
          for (const { metadata } of items)
            remove({ resource, namespace: metadata.namespace, name: metadata.name })
          return json(
            response,
            200,
            listOf(resource, { items, metadata: { resourceVersion: store.resourceVersion } }),
          )
        }
        const gone = remove(ref())
        // What has finalizers is still there, and shown; what is gone is reported as such.
        if (store.find(ref())?.metadata.uid === gone.metadata.uid && !pretend)
          return json(response, 200, shown(resource, store.get(ref())))
        if (shownWhenGone.has(resource.kind)) return json(response, 200, shown(resource, gone))
        return json(response, 200, {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Success',
          details: {
            name,
            ...(resource.group === '' ? {} : { group: resource.group }),
            kind: resource.plural,
            uid: gone.metadata.uid,
          },
        })
      }
      default:
        throw notAllowed()
    }
  }

  private patch(
    type: string,
    ref: Ref,
    body: object,
    manager: string,
    options: { status: boolean; dryRun: boolean },
  ): Stored {
    const store = this.store()
    switch (type) {
      case 'application/merge-patch+json':
        return store.merge(ref, body, manager, options)
      case 'application/json-patch+json':
        return store.jsonPatch(ref, body, manager, options)
      case 'application/strategic-merge-patch+json':
        // Only types that the server was compiled with have a strategy.
        if (builtIn.includes(ref.resource)) return store.strategic(ref, body, manager, options)
        break
    }
    if (!/^application\/.*\+json$/.test(type))
      throw new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {})
    throw new StatusError(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml`,
    )
  }

  private target(path: string): {
    resource: ResourceType
    namespace: string | undefined
    name: string | undefined
    subresource: string | undefined
  } {
    const match = /^\/api(?:s\/([^/]+))?\/(v[^/]+)\/(.+)$/.exec(path)
    const [, group = '', version = '', rest = ''] = match ?? []
    const parts = rest.split('/').map(decoded)
    const types = this.store()
      .resources()
      .filter(t => t.group === group && t.version === version)
    // A namespace is a resource itself, and the beginning of the path of what lives in it.
    const inNamespace =
      parts[0] === 'namespaces' && parts.length > 2 && !(parts.length === 3 && parts[2] === 'status')
    const resource = types.find(t => t.plural === (inNamespace ? parts[2] : parts[0]))
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

  private watch(
    response: ServerResponse,
    {
      resource,
      namespace,
      name,
    }: { resource: ResourceType; namespace: string | undefined; name: string | undefined },
    query: URLSearchParams,
  ): void {
    const store = this.store()
    response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' })
    response.flushHeaders()
    const chosen = selected(query)
    const fits = (object: Stored | undefined) =>
      object !== undefined &&
      (namespace === undefined || object.metadata.namespace === namespace) &&
      (name === undefined || object.metadata.name === name) &&
      chosen(object)
    const send = (type: string, object: object) => response.write(`${JSON.stringify({ type, object })}\n`)
    const tell = ({ type, resource: of, object, before }: StoreEvent) => {
      if (of.plural !== resource.plural || of.group !== resource.group) return
      // What a change moves into the selection is new to the watcher, and what it moves out is gone.
      const is = type !== 'DELETED' && fits(object)
      const was = fits(before)
      if (is) send(was ? 'MODIFIED' : 'ADDED', shown(resource, object))
      else if (was) send('DELETED', shown(resource, object))
    }
    const from = query.get('resourceVersion') ?? ''
    const initial = query.get('sendInitialEvents') === 'true'
    if (initial || from === '' || from === '0') {
      for (const object of store.list(resource, namespace))
        if (fits(object)) send('ADDED', shown(resource, object))
      if (initial && query.get('allowWatchBookmarks') === 'true')
        send('BOOKMARK', {
          kind: resource.kind,
          apiVersion: groupVersionOf(resource),
          metadata: {
            resourceVersion: store.resourceVersion,
            creationTimestamp: null,
            annotations: { 'k8s.io/initial-events-end': 'true' },
          },
        })
    } else {
      const events = store.since(Number(from))
      if (!events) {
        send(
          'ERROR',
          statusOf(
            new StatusError(410, 'Expired', `too old resource version: ${from} (${store.resourceVersion})`),
          ),
        )
        response.end()
        return
      }
      for (const event of events) tell(event)
    }
    const stop = store.watch(tell)
    const seconds = Number(query.get('timeoutSeconds') ?? 0)
    const timer =
      seconds > 0
        ? setTimeout(() => {
            stop()
            response.end()
          }, seconds * 1000)
        : undefined
    response.on('error', stop)
    response.on('close', () => {
      stop()
      clearTimeout(timer)
    })
  }

  private refuse(response: ServerResponse, error: unknown): void {
    if (response.headersSent) {
      response.destroy()
      return
    }
    const status = asStatus(error)
    json(response, status.code, statusOf(status))
  }
}

function statusOf({ message, reason, details, code }: StatusError): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === '' ? {} : { reason }),
    ...(details ? { details } : {}),
    code,
  }
}

function notAllowed(): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  )
}

function isDryRun(method: string | undefined, query: URLSearchParams): boolean {
  const given = query.get('dryRun')
  if (given === null || given === 'All') return given === 'All'
  const verbs: Record<string, string> = { POST: 'Create', PUT: 'Update', PATCH: 'Patch' }
  const why = `Unsupported value: [${JSON.stringify(given)}]: supported values: "All"`
  throw badOption(verbs[method ?? ''] ?? 'Delete', 'dryRun', 'NotSupported', why)
}

function badOption(verb: string, field: string, reason: string, why: string): StatusError {
  const kind = `${verb}Options`
  return new StatusError(422, 'Invalid', `${kind}.meta.k8s.io "" is invalid: ${field}: ${why}`, {
    group: 'meta.k8s.io',
    kind,
    causes: [{ reason: `FieldValue${reason}`, message: why, field }],
  })
}

function showRef({ resource, namespace, name }: Ref): string {
  return `${resource.plural} ${namespace === undefined ? '' : `${namespace}/`}${name}`.trim()
}

function isWatch(query: URLSearchParams): boolean {
  return query.get('watch') === 'true' || query.get('watch') === '1'
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new StatusError(400, 'BadRequest', `the path holds an invalid escape: ${part}`)
  }
}

function groupOf(name: string, versions: string[]): object {
  const shownVersions = versions.map(version => ({ groupVersion: `${name}/${version}`, version }))
  return { kind: 'APIGroup', name, versions: shownVersions, preferredVersion: shownVersions[0] }
}

// What `kubectl get all` means by all.
const inAll = [
  'pods',
  'services',
  'daemonsets',
  'deployments',
  'replicasets',
  'statefulsets',
  'horizontalpodautoscalers',
  'cronjobs',
  'jobs',
]

function subresourceOf(t: ResourceType, name: string): object {
  return {
    name: `${t.plural}/${name}`,
    singularName: '',
    namespaced: t.namespaced,
    kind: t.kind,
    verbs: ['get', 'patch', 'update'],
  }
}

function rootOf(t: ResourceType): string {
  return t.group === '' ? `/api/${t.version}` : `/apis/${t.group}/${t.version}`
}

function openApiIndex(types: ResourceType[]): object {
  const roots = [...new Set(types.map(rootOf))]
  return {
    paths: Object.fromEntries(
      roots.map(root => [root.slice(1), { serverRelativeURL: `/openapi/v3${root}?hash=lab` }]),
    ),
  }
}

/** As much of a description as kubectl wants before it leaves the validation of fields to the server. */
function openApiOf(types: ResourceType[]): object {
  const patch = (t: ResourceType) => ({
    parameters: [{ name: 'fieldValidation', in: 'query', schema: { type: 'string', uniqueItems: true } }],
    responses: {},
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group: t.group, version: t.version, kind: t.kind },
  })
  return {
    openapi: '3.0.0',
    info: { title: 'lab', version: '1' },
    paths: Object.fromEntries(
      types.map(t => [
        `${rootOf(t)}${t.namespaced ? '/namespaces/{namespace}' : ''}/${t.plural}/{name}`,
        { patch: patch(t) },
      ]),
    ),
  }
}

function resourceOf(t: ResourceType): object {
  return {
    name: t.plural,
    singularName: t.kind.toLowerCase(),
    namespaced: t.namespaced,
    kind: t.kind,
    shortNames: t.shortNames,
    ...(inAll.includes(t.plural) ? { categories: ['all'] } : {}),
    verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  }
}

/** A list. Of the kinds that the server was made with it says once what its items are. */
function listOf(resource: ResourceType, { items, metadata }: Page): object {
  const builtInKind = builtIn.includes(resource)
  return {
    kind: `${resource.kind}List`,
    apiVersion: groupVersionOf(resource),
    metadata,
    items: items.map(object => {
      if (!builtInKind) return shown(resource, object)
      const { apiVersion: _, kind: __, ...item } = object
      return item
    }),
  }
}

function shown(resource: ResourceType, object: Stored): object {
  return { ...object, apiVersion: groupVersionOf(resource), kind: resource.kind }
}

/** The selectors of a query, labels and fields, as one test. */
function selected(query: URLSearchParams): (object: Stored) => boolean {
  // A comma inside of brackets separates values, not requirements.
  const requirements = (text: string) => text.split(/,(?![^(]*\))/).flatMap(r => r.trim() || [])
  const labels = requirements(query.get('labelSelector') ?? '').map(labelTest)
  const fields = requirements(query.get('fieldSelector') ?? '').map(fieldTest)
  return object => labels.every(t => t(object.metadata.labels ?? {})) && fields.every(t => t(object))
}

function labelTest(requirement: string): (labels: Record<string, string>) => boolean {
  const among = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(requirement)
  if (among) {
    const [, key = '', how, list = ''] = among
    const values = list.split(',').map(v => v.trim())
    return labels => (labels[key] !== undefined && values.includes(labels[key])) === (how === 'in')
  }
  const equal = /^([^!=]+?)\s*(!=|==?)\s*(.*)$/.exec(requirement)
  if (equal) {
    const [, key = '', how, value = ''] = equal
    return labels => (labels[key] === value) === (how !== '!=')
  }
  const absent = /^!\s*(.+)$/.exec(requirement)?.[1]
  if (absent !== undefined) return labels => labels[absent] === undefined
  if (!/^[^\s()!=]+$/.test(requirement))
    throw new StatusError(400, 'BadRequest', `unable to parse requirement: ${requirement}`)
  return labels => labels[requirement] !== undefined
}

function fieldTest(requirement: string): (object: Stored) => boolean {
  const [, path = '', how, value = ''] = /^([^!=]+)(!=|==?)(.*)$/.exec(requirement) ?? []
  if (path === '')
    throw new StatusError(400, 'BadRequest', `invalid selector: '${requirement}'; can't understand it`)
  return object => {
    let here: unknown = object
    for (const part of path.split('.')) here = (here as Record<string, unknown> | null | undefined)?.[part]
    return (String(here ?? '') === value) === (how !== '!=')
  }
}

/** Refuses a field that the kind does not have, where the client asked for that. */
function mustBeStrict(object: KubernetesObject, resource: ResourceType, query: URLSearchParams): void {
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

function mustFit(
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

function asStatus(error: unknown): StatusError {
  return error instanceof StatusError
    ? error
    : new StatusError(500, 'InternalError', String((error as Error)?.stack ?? error))
}

/** Throws StatusError for whoever shows no client certificate, or none of the masters'. */
function mustBeAdmin(request: IncomingMessage): void {
  const socket = request.socket as TLSSocket
  // A resumed TLS session counts as authorized, certificate or none.
  const { subject } = socket.getPeerCertificate()
  if (!socket.authorized || !subject) throw new StatusError(401, 'Unauthorized', 'Unauthorized')
  const groups = subject.O as string | string[] | undefined
  if (![groups].flat().includes('system:masters'))
    throw new StatusError(403, 'Forbidden', 'only system:masters may do anything in this lab')
}

/** As the real server names a manager that names itself nothing: the first word of its user agent. */
function managerOf(request: IncomingMessage): string {
  return (request.headers['user-agent'] ?? 'unknown').split('/')[0] || 'unknown'
}

async function bodyOf(request: IncomingMessage): Promise<KubernetesObject> {
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

function json(response: ServerResponse, code: number, value: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function text(response: ServerResponse, value: string): void {
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.end(value)
}
