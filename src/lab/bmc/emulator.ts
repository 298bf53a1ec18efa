import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { BmcQuirk } from '../blueprint.ts'
import type { Identity } from '../pki.ts'
import type { BootTarget, PowerSeam } from '../seams.ts'
import type { World } from '../world.ts'
import {
  bootNames,
  bootSettings,
  drivePath,
  link,
  type Resource,
  resetTypes,
  resources,
  sessions,
  system,
  tasks,
} from './resources.ts'

/** What a BMC remembers besides what its machine does. */
interface BmcState {
  /** Session id to its token. */
  sessions: Record<string, string>
  /** Task id to how many looks it still takes, or how it ended. */
  tasks: Record<string, { looks: number; failed?: true }>
  port?: number
}

interface Reply {
  status: number
  body?: Resource
  headers?: Record<string, string>
}

/** A refusal in Redfish's words. */
class Refused extends Error {
  readonly status: number
  readonly id: string
  constructor(status: number, id: string, message: string) {
    super(message)
    this.status = status
    this.id = id
  }
}

/**
 * The BMC of one machine: a small Redfish service over HTTPS that switches it, as DMTF's DSP0266 describes and with what
 * real ones do otherwise. What it answered survives the end of its process.
 */
export class BmcEmulator {
  readonly fingerprint: string
  private readonly world: World
  private readonly name: string
  private readonly account: { account: string; password: string }
  private readonly quirks: ReadonlySet<BmcQuirk>
  private readonly machine: PowerSeam
  private readonly server: Server
  private readonly state: BmcState
  /** It shows what it was told for one look, and then what is. */
  private trips = false

  constructor(
    world: World,
    name: string,
    { quirks, ...account }: { account: string; password: string; quirks?: BmcQuirk[] },
    machine: PowerSeam,
    identity: Identity,
  ) {
    this.world = world
    this.name = name
    this.account = account
    this.quirks = new Set(quirks)
    this.machine = machine
    this.state = world.read(`bmc-${name}`) ?? { sessions: {}, tasks: {} }
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
        this.state.port = (this.server.address() as AddressInfo).port
        this.save()
        resolve(this.state.port)
      }
      this.server.once('error', error => {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return reject(error)
        this.server.once('error', reject)
        this.server.listen(0, this.world.address, ready)
      })
      this.server.listen(this.state.port ?? 0, this.world.address, ready)
    })
  }

  close(): Promise<void> {
    this.server.closeAllConnections()
    return new Promise(resolve => this.server.close(() => resolve()))
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.world.spokenToAt = performance.now()
    if (this.world.strikes('bmc-away', this.name)) return void request.socket.destroy()
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
    if (order && this.world.strikes('bmc-answer-lost', this.name)) return void request.socket.destroy()
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
    if (path === sessions && method === 'POST' && !this.quirks.has('no-sessions'))
      return this.logIn(bodyOf(text))
    if (path !== '/redfish/v1' && !this.mayEnter(request))
      throw new Refused(
        401,
        'Base.1.15.NoValidSession',
        'There is no valid session established with the implementation.',
      )
    if (method === 'GET') return this.look(path)
    if (method === 'DELETE') return this.logOut(path)
    const known = this.resource(path)
    if (method === 'PATCH' && known) {
      this.judgeEtag(request, known)
      return this.patch(path, bodyOf(text))
    }
    if (method === 'POST' && path.includes('/Actions/')) return this.act(path, bodyOf(text))
    if (!known) throw missing(path)
    throw new Refused(
      405,
      'Base.1.15.OperationNotAllowed',
      'The HTTP method is not allowed on this resource.',
    )
  }

  private look(path: string): Reply {
    const id = path.startsWith(`${tasks}/`) ? path.slice(tasks.length + 1) : undefined
    const task = id === undefined ? undefined : this.state.tasks[id]
    if (id !== undefined && task) {
      task.looks -= 1
      this.save()
      const state = task.looks > 0 ? 'Running' : task.failed ? 'Exception' : 'Completed'
      const body = {
        ...link(path),
        '@odata.type': '#Task.v1_7_0.Task',
        Id: id,
        Name: 'Task',
        TaskState: state,
        PercentComplete: state === 'Completed' ? 100 : 50,
        ...(state === 'Exception'
          ? {
              Messages: [
                {
                  MessageId: 'Base.1.15.InternalError',
                  Message: 'The machine did not follow half way through.',
                },
              ],
            }
          : {}),
      }
      return { status: 200, body }
    }
    const resource = this.resource(path)
    if (!resource) throw missing(path)
    return { status: 200, body: resource, headers: { etag: etagOf(resource) } }
  }

  private resource(path: string): Resource | undefined {
    return resources({
      name: this.name,
      machine: this.machine,
      quirks: this.quirks,
      powerState: path === system ? this.powerState() : '',
      sessionIds: Object.keys(this.state.sessions),
      taskIds: Object.keys(this.state.tasks),
    }).get(path)
  }

  private powerState(): string {
    if (this.world.suffers('bmc-says-on', this.name)) return 'On'
    if (this.world.suffers('bmc-says-off', this.name)) return 'Off'
    const shown = this.machine.on() ? 'On' : 'Off'
    // Its power supply gives up, after the BMC has believed for a look that it is on.
    if (this.trips && shown === 'On') {
      this.trips = false
      this.machine.turnOff('now')
    }
    return shown
  }

  private logIn(body: Resource): Reply {
    const wrong = this.world.suffers('bmc-password-refused', this.name)
    if (wrong || body.UserName !== this.account.account || body.Password !== this.account.password)
      throw new Refused(
        401,
        'Base.1.15.ResourceAtUriUnauthorized',
        'While accessing the resource, the service received an authorization error: invalid username or password.',
      )
    if (this.world.suffers('bmc-sessions-full', this.name))
      throw new Refused(
        400,
        'Base.1.15.SessionLimitExceeded',
        'The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.',
      )
    const id = randomBytes(4).toString('hex')
    const token = randomBytes(16).toString('hex')
    this.state.sessions[id] = token
    this.save()
    const location = `${sessions}/${id}`
    return {
      status: 201,
      headers: { 'x-auth-token': token, location },
      body: {
        ...link(location),
        '@odata.type': '#Session.v1_5_0.Session',
        Id: id,
        Name: 'User Session',
        UserName: this.account.account,
      },
    }
  }

  private logOut(path: string): Reply {
    const id = path.slice(sessions.length + 1)
    if (!path.startsWith(`${sessions}/`) || !this.state.sessions[id]) throw missing(path)
    delete this.state.sessions[id]
    this.save()
    return { status: 204 }
  }

  private mayEnter(request: IncomingMessage): boolean {
    if (this.world.suffers('bmc-password-refused', this.name)) return false
    const token = request.headers['x-auth-token']
    if (token !== undefined) {
      if (!this.world.strikes('bmc-session-expires', this.name))
        return Object.values(this.state.sessions).includes(String(token))
      this.state.sessions = {}
      this.save()
      return false
    }
    const { account, password } = this.account
    const basic = `Basic ${Buffer.from(`${account}:${password}`).toString('base64')}`
    return request.headers.authorization === basic
  }

  private judgeEtag(request: IncomingMessage, resource: Resource): void {
    const given = request.headers['if-match']
    if (given === undefined) {
      if (!this.quirks.has('needs-etag')) return
      throw new Refused(
        428,
        'Base.1.15.PreconditionRequired',
        'A precondition header or annotation is required.',
      )
    }
    const own = etagOf(resource)
    const accepted = this.quirks.has('etag-strong') ? own.replace(/^W\//, '') : own
    if (given !== '*' && given !== accepted)
      throw new Refused(
        412,
        'Base.1.15.PreconditionFailed',
        'The ETag supplied did not match the current one.',
      )
  }

  private patch(path: string, body: Resource): Reply {
    this.count(`PATCH ${path}`)
    const { Boot: boot, ...others } = body
    const holder = this.quirks.has('boot-settings-apart') ? bootSettings : system
    if (path === holder && boot !== undefined && Object.keys(others).length === 0) {
      this.setBoot(boot as Resource)
      return { status: 204 }
    }
    if (path === drivePath(this.quirks) && this.quirks.has('media-by-patch')) {
      if (body.Image) this.insert(body)
      else this.machine.ejectMedia()
      return { status: 204 }
    }
    throw new Refused(
      400,
      'Base.1.15.PropertyNotWritable',
      `The property ${Object.keys(body)[0] ?? ''} is a read only property and cannot be assigned a value.`,
    )
  }

  private setBoot(boot: Resource): void {
    const {
      BootSourceOverrideEnabled: enabled,
      BootSourceOverrideTarget: target,
      BootSourceOverrideMode: mode,
    } = boot
    if (mode !== undefined && this.quirks.has('no-boot-mode'))
      throw new Refused(
        400,
        'Base.1.15.PropertyUnknown',
        'The property BootSourceOverrideMode is not in the list of valid properties for the resource.',
      )
    if (target === 'None' && this.quirks.has('no-target-none'))
      throw notInList('BootSourceOverrideTarget', target)
    const found = (Object.keys(bootNames) as BootTarget[]).find(name => bootNames[name] === target)
    if (target !== undefined && target !== 'None' && !found)
      throw notInList('BootSourceOverrideTarget', target)
    if (enabled !== undefined && !['Once', 'Continuous', 'Disabled'].includes(String(enabled)))
      throw notInList('BootSourceOverrideEnabled', enabled)
    if (this.world.strikes('bmc-lies', this.name)) return
    if (this.quirks.has('boot-continuous')) {
      // It hears the target only; a machine at rest boots its disk.
      if (found) this.machine.setBootOverride(found === 'disk' ? undefined : found)
    } else this.machine.setBootOverride(enabled === 'Disabled' || target === 'None' ? undefined : found)
  }

  private act(path: string, body: Resource): Reply {
    const drive = drivePath(this.quirks)
    this.count(`POST ${path} ${String(body.ResetType ?? '')}`.trim())
    if (path === `${system}/Actions/ComputerSystem.Reset`) return this.reset(String(body.ResetType))
    const media = !this.quirks.has('media-by-patch') && !this.quirks.has('no-media')
    if (media && path === `${drive}/Actions/VirtualMedia.InsertMedia`) {
      const [extra] = Object.keys(body).filter(key => key !== 'Image')
      if (extra !== undefined && this.quirks.has('media-image-only'))
        throw new Refused(
          400,
          'Base.1.15.ActionParameterUnknown',
          `The action InsertMedia was submitted with the invalid parameter ${extra}.`,
        )
      this.insert(body)
      return this.done()
    }
    if (media && path === `${drive}/Actions/VirtualMedia.EjectMedia`) {
      this.machine.ejectMedia()
      return this.done()
    }
    throw missing(path)
  }

  private insert(body: Resource): void {
    if (typeof body.Image !== 'string' || !/^https?:\/\//.test(body.Image))
      throw new Refused(
        400,
        'Base.1.15.ActionParameterMissing',
        'The action InsertMedia requires the parameter Image.',
      )
    if (this.machine.media() !== undefined)
      throw new Refused(
        400,
        'Base.1.15.ResourceInUse',
        'The change could not be made because an image is inserted already.',
      )
    try {
      this.machine.insertMedia(body.Image)
    } catch (error) {
      throw new Refused(
        403,
        'Base.1.15.ActionNotSupported',
        error instanceof Error ? error.message : String(error),
      )
    }
  }

  private reset(type: string): Reply {
    if (!resetTypes.includes(type)) throw notInList('ResetType', type)
    if (this.world.suffers('bmc-refuses', this.name))
      throw new Refused(
        403,
        'Base.1.15.InsufficientPrivilege',
        'There are insufficient privileges for the account.',
      )
    if (this.world.strikes('bmc-task-fails', this.name)) return this.task(true)
    const on = this.machine.on()
    if (on === (type === 'On' || type === 'ForceOn'))
      throw new Refused(
        409,
        'Base.1.15.InvalidOperationForSystemState',
        `The operation could not be completed because the machine is ${on ? 'on' : 'off'}.`,
      )
    if (this.world.strikes('bmc-lies', this.name)) return this.done()
    if (type === 'ForceOff') this.machine.turnOff('now')
    else if (type === 'GracefulShutdown') this.machine.turnOff('gracefully')
    else if (type === 'ForceRestart') this.machine.restart()
    else {
      this.machine.turnOn()
      this.trips = this.world.strikes('bmc-power-fails', this.name)
    }
    return this.done()
  }

  private done(): Reply {
    return this.quirks.has('tasks') ? this.task(false) : { status: 204 }
  }

  private task(failed: boolean): Reply {
    const id = String(Object.keys(this.state.tasks).length + 1)
    this.state.tasks[id] = { looks: 3, ...(failed ? { failed } : {}) }
    this.save()
    const location = `${tasks}/${id}`
    const body = {
      ...link(location),
      '@odata.type': '#Task.v1_7_0.Task',
      Id: id,
      Name: 'Task',
      TaskState: 'New',
    }
    return { status: 202, headers: { location }, body }
  }

  private count(what: string): void {
    this.world.countMutation('hosts', `BMC of ${this.name}: ${what}`)
  }

  private save(): void {
    this.world.write(`bmc-${this.name}`, this.state)
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

function missing(path: string): Refused {
  return new Refused(404, 'Base.1.15.ResourceMissingAtURI', `The resource at the URI ${path} was not found.`)
}

function notInList(property: string, value: unknown): Refused {
  return new Refused(
    400,
    'Base.1.15.PropertyValueNotInList',
    `The value ${String(value)} for the property ${property} is not in the list of acceptable values.`,
  )
}

function refusal(error: Refused): Resource {
  return {
    error: {
      code: 'Base.1.15.GeneralError',
      message: 'A general error has occurred. See ExtendedInfo for more information.',
      '@Message.ExtendedInfo': [
        {
          '@odata.type': '#Message.v1_1_2.Message',
          MessageId: error.id,
          Message: error.message,
          Severity: 'Critical',
          Resolution: 'None.',
        },
      ],
    },
  }
}
