import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { BmcQuirk } from '../blueprint.ts'
import type { Identity } from '../pki.ts'
import type { PowerSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { type Bmc, type BmcState, type Reply, save } from './bmc.ts'
import { act, patch } from './orders.ts'
import { missing, Refused, refusal } from './refusals.ts'
import { type Resource, resources, sessions, system } from './resources.ts'
import { logIn, logOut, mayEnter } from './sessions.ts'
import { lookAtTask } from './tasks.ts'

/**
 * The BMC of one machine: a small Redfish service over HTTPS that switches it, as DMTF's DSP0266 describes and with what
 * real ones do otherwise. What it answered survives the end of its process.
 */
export class BmcEmulator {
  readonly fingerprint: string
  private readonly bmc: Bmc
  private readonly server: Server

  constructor(
    world: World,
    name: string,
    { quirks, ...account }: { account: string; password: string; quirks?: BmcQuirk[] },
    machine: PowerSeam,
    identity: Identity,
  ) {
    const state = world.read<BmcState>(`bmc-${name}`) ?? { sessions: {}, tasks: {} }
    this.bmc = { world, name, account, quirks: new Set(quirks), machine, state, trips: false }
    this.fingerprint = identity.fingerprint
    this.server = createServer({ cert: identity.certificate, key: identity.key }, (request, response) => {
      this.answer(request, response).catch(error => {
        response.statusCode = 500
        response.end(String(error))
      })
    })
  }

  /** Listens at the world's address, on the port that it had before if it is free. Resolves with the port. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      const ready = () => {
        this.bmc.state.port = (this.server.address() as AddressInfo).port
        save(this.bmc)
        resolve(this.bmc.state.port)
      }
      this.server.once('error', error => {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return reject(error)
        this.server.once('error', reject)
        this.server.listen(0, this.bmc.world.address, ready)
      })
      this.server.listen(this.bmc.state.port ?? 0, this.bmc.world.address, ready)
    })
  }

  close(): Promise<void> {
    this.server.closeAllConnections()
    return new Promise(resolve => this.server.close(() => resolve()))
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.bmc.world.spokenToAt = performance.now()
    if (this.bmc.world.strikes('bmc-away', this.bmc.name)) return void request.socket.destroy()
    let body = ''
    for await (const chunk of request) body += chunk
    let reply: Reply
    try {
      reply = this.reply(request, body)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      reply = { status: error.status, body: refusal(error) }
    }
    const order = request.method === 'POST' && (request.url ?? '').includes('/Actions/')
    if (order && this.bmc.world.strikes('bmc-answer-lost', this.bmc.name))
      return void request.socket.destroy()
    response.statusCode = reply.status
    response.setHeader('odata-version', '4.0')
    for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value)
    if (reply.status === 401) response.setHeader('www-authenticate', 'Basic realm="Redfish"')
    if (reply.body === undefined) return void response.end()
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end(JSON.stringify(reply.body))
  }

  private reply(request: IncomingMessage, text: string): Reply {
    const path = (request.url ?? '/').replace(/[?#].*$/, '').replace(/(.)\/$/, '$1')
    const method = request.method ?? 'GET'
    if (path === '/redfish') return { status: 200, body: { v1: '/redfish/v1/' } }
    if (path === sessions && method === 'POST' && !this.bmc.quirks.has('no-sessions'))
      return logIn(this.bmc, bodyOf(text))
    if (path !== '/redfish/v1' && !mayEnter(this.bmc, request))
      throw new Refused(
        401,
        'Base.1.15.NoValidSession',
        'There is no valid session established with the implementation.',
      )
    if (method === 'GET') return this.look(path)
    if (method === 'DELETE') return logOut(this.bmc, path)
    const known = this.resource(path)
    if (method === 'PATCH' && known) {
      this.judgeEtag(request, known)
      return patch(this.bmc, path, bodyOf(text))
    }
    if (method === 'POST' && path.includes('/Actions/')) return act(this.bmc, path, bodyOf(text))
    if (!known) throw missing(path)
    throw new Refused(
      405,
      'Base.1.15.OperationNotAllowed',
      'The HTTP method is not allowed on this resource.',
    )
  }

  private look(path: string): Reply {
    const task = lookAtTask(this.bmc, path)
    if (task) return { status: 200, body: task }
    const resource = this.resource(path)
    if (!resource) throw missing(path)
    return { status: 200, body: resource, headers: { etag: etagOf(resource) } }
  }

  private resource(path: string): Resource | undefined {
    return resources({
      name: this.bmc.name,
      machine: this.bmc.machine,
      quirks: this.bmc.quirks,
      powerState: path === system ? this.powerState() : '',
      sessionIds: Object.keys(this.bmc.state.sessions),
      taskIds: Object.keys(this.bmc.state.tasks),
    }).get(path)
  }

  private powerState(): string {
    if (this.bmc.world.suffers('bmc-says-on', this.bmc.name)) return 'On'
    if (this.bmc.world.suffers('bmc-says-off', this.bmc.name)) return 'Off'
    const shown = this.bmc.machine.on() ? 'On' : 'Off'
    // Its power supply gives up, after the BMC has believed for a look that it is on.
    if (this.bmc.trips && shown === 'On') {
      this.bmc.trips = false
      this.bmc.machine.turnOff('now')
    }
    return shown
  }

  private judgeEtag(request: IncomingMessage, resource: Resource): void {
    const given = request.headers['if-match']
    if (given === undefined) {
      if (!this.bmc.quirks.has('needs-etag')) return
      throw new Refused(
        428,
        'Base.1.15.PreconditionRequired',
        'A precondition header or annotation is required.',
      )
    }
    const own = etagOf(resource)
    const accepted = this.bmc.quirks.has('etag-strong') ? own.replace(/^W\//, '') : own
    if (given !== '*' && given !== accepted)
      throw new Refused(
        412,
        'Base.1.15.PreconditionFailed',
        'The ETag supplied did not match the current one.',
      )
  }
}

function bodyOf(text: string): Resource {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null) return body as Resource
  } catch {
    // Told below.
  }
  throw new Refused(400, 'Base.1.15.MalformedJSON', 'The request body submitted was malformed JSON.')
}

function etagOf(resource: Resource): string {
  return `W/"${createHash('sha256').update(JSON.stringify(resource)).digest('hex').slice(0, 16)}"`
}
