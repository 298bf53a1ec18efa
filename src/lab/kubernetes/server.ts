import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Pki } from '../pki.ts'
import type { MachinesSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { json, listOf, shown, text } from './answers.ts'
import { discovered } from './discovery.ts'
import type { ExecServer } from './exec-server.ts'
import { Pages } from './pages.ts'
import { podLog } from './pod-log.ts'
import {
  badOption,
  bodyOf,
  isDryRun,
  isWatch,
  managerOf,
  mustBeAdmin,
  mustBeStrict,
  mustFit,
  targetOf,
} from './requests.ts'
import { builtIn } from './resources.ts'
import { selected } from './selectors.ts'
import { asStatus, StatusError, statusOf } from './status-error.ts'
import type { ObjectStore } from './store.ts'
import type { Ref, Stored } from './stored.ts'
import { watch } from './watch.ts'

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
    const described = discovered(this.store().resources(), path)
    if (described) return json(response, 200, described)
    await this.resource(request, response, url)
  }

  private async resource(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const store = this.store()
    const target = targetOf(store.resources(), url.pathname)
    const { resource, namespace, name, subresource } = target
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
        if (isWatch(query)) return watch(store, response, target, query)
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

  private versionInfo(): object {
    const version = this.world.blueprint.kubernetesVersion
    const [major, minor] = version.split('.')
    return { major, minor, gitVersion: `v${version}+k0s`, platform: 'linux/amd64' }
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

  private refuse(response: ServerResponse, error: unknown): void {
    if (response.headersSent) {
      response.destroy()
      return
    }
    const status = asStatus(error)
    json(response, status.code, statusOf(status))
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

function showRef({ resource, namespace, name }: Ref): string {
  return `${resource.plural} ${namespace === undefined ? '' : `${namespace}/`}${name}`.trim()
}
