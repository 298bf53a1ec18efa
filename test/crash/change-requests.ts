import { AsyncLocalStorage } from 'node:async_hooks'
import { ChildProcess } from 'node:child_process'
import { Socket } from 'node:dgram'
import { subscribe } from 'node:diagnostics_channel'
import ssh2, { type ClientChannel } from 'ssh2'
import { factShell } from '../../src/hosts/fact-script.ts'
import { lockShell } from '../../src/hosts/lock-script.ts'
import { putShell } from '../../src/hosts/put-script.ts'

/** What undici publishes of a request (its docs, DiagnosticsChannel); the same object each time. */
interface HttpRequest {
  method: string
  path: string
  body: unknown
}

/**
 * Hears of every request of this process that may change something while a step applies: to the NAS, the API server and a
 * BMC by HTTP, to a machine by SSH, and programs that talk to them. It listens where they leave the process, below every
 * handle, since one call of a handle may be several requests. What is not known to be a look counts as a change.
 *
 * @param meets is told `before-change STEP WHAT` right before a request leaves, `after-change STEP WHAT` when its answer is
 * there and nobody has read it yet, and `started-change STEP WHAT` for a program that runs a while
 * @returns to be told which step's effect begins; its requests are those of everything that is called from there on
 */
export function hearChanges(meets: (point: string) => void): { begins(step: string): void; ends(): void } {
  const applying = new AsyncLocalStorage<string | undefined>()
  /** What says, of one request, that something happened to it; undefined for a look, and for one that no step makes. */
  const requestOf = (what: string | undefined) => {
    const step = applying.getStore()
    return what === undefined || step === undefined
      ? undefined
      : (when: 'before' | 'started' | 'after') => meets(`${when}-change ${step} ${named(what)}`)
  }
  overHttp(requestOf)
  overSsh(requestOf)
  byPrograms(requestOf)
  byPackets(requestOf)
  return { begins: step => applying.enterWith(step), ends: () => applying.enterWith(undefined) }
}

type RequestOf = (what: string | undefined) => ((when: 'before' | 'started' | 'after') => void) | undefined

function overHttp(requestOf: RequestOf): void {
  const under = new WeakMap<HttpRequest, ReturnType<RequestOf>>()
  subscribe('undici:request:create', message => {
    const { request } = message as { request: HttpRequest }
    const meets = requestOf(changeOverHttp(request))
    if (!meets) return
    under.set(request, meets)
    meets('before')
  })
  subscribe('undici:request:trailers', message =>
    under.get((message as { request: HttpRequest }).request)?.('after'),
  )
}

/** What a request changes: `nas Target disable`, `PATCH /api/v1/…`; undefined for a look. */
function changeOverHttp({ method, path, body }: HttpRequest): string | undefined {
  // What has one part in its path is an order to the lab: the hands that a rehearsal has.
  if (method === 'GET' || method === 'HEAD' || /^\/\w+(?:\?|$)/.test(path)) return undefined
  if (!path.startsWith('/webapi/')) return `${method} ${path.split('?')[0]}`
  const form = new URLSearchParams(Buffer.isBuffer(body) ? body.toString() : '')
  const asked = form.get('method') ?? ''
  if (/^(?:info|query|list|list_snapshot|get|load|login|logout)$/.test(asked)) return undefined
  return `nas ${form.get('api')?.replace(/^SYNO\.Core\.(?:ISCSI\.)?/, '')} ${asked}`
}

function overSsh(requestOf: RequestOf): void {
  const { exec } = ssh2.Client.prototype
  type Began = (error: Error | undefined, channel: ClientChannel) => void
  ssh2.Client.prototype.exec = function (this: ssh2.Client, command: string, ...rest: unknown[]) {
    const began = rest.at(-1) as Began
    const meets = requestOf(changeOverSsh(command))
    meets?.('before')
    const heard: Began = (error, channel) => {
      // The first that listens: whoever asked knows of the end only afterwards.
      if (!error && meets) channel.once('close', () => meets('after'))
      began(error, channel)
    }
    return exec.call(this, command, heard)
  } as typeof exec
}

/** What a command changes; undefined for a look. */
function changeOverSsh(command: string): string | undefined {
  const bare = command.replace(/^sudo -n /, '')
  if (bare.startsWith(`sh -c '${factShell}'`)) return undefined
  if (/^(?:true|id -u|cat -- .*|tail -c .*|systemctl show .*|efibootmgr -v|curl .*|df -Pk .*)$/.test(bare))
    return undefined
  const put = `sh -c '${putShell}' sh `
  // Without the number of bytes, which hang on names of the run.
  if (bare.startsWith(put)) return `ssh put ${bare.slice(put.length).replace(/^\d+ /, '')}`
  if (bare.startsWith(`sh -c '${lockShell}' sh `)) return 'ssh lock'
  return `ssh ${bare}`
}

function byPrograms(requestOf: RequestOf): void {
  // Every way to start a program comes by it; Node's types leave it out.
  const prototype = ChildProcess.prototype as unknown as { spawn(options: { args?: string[] }): unknown }
  const { spawn } = prototype
  prototype.spawn = function (this: ChildProcess, options) {
    const meets = requestOf(changeByProgram(options.args ?? []))
    meets?.('before')
    const started = spawn.call(this, options)
    meets?.('started')
    if (meets) this.prependListener('exit', () => meets('after'))
    return started
  }
}

/** Of the programs that recover starts only these change anything elsewhere, by these orders. */
function changeByProgram(args: string[]): string | undefined {
  const program = args.findIndex(arg => /(?:^|\/)(?:k0sctl|ipmitool)(?:\.js)?$/.test(arg))
  if (program === -1) return undefined
  const order = args.slice(program + 1)
  if (/k0sctl/.test(args[program] ?? '')) return order.includes('apply') ? 'k0sctl apply' : undefined
  const said = order.slice(order.indexOf('-v') + 1).join(' ')
  return /\b(?:status|print|get|info|dump)\b/.test(said) ? undefined : `ipmitool ${said}`
}

function byPackets(requestOf: RequestOf): void {
  const { send } = Socket.prototype
  Socket.prototype.send = function (this: Socket, ...given: unknown[]) {
    const meets = requestOf('packet')
    meets?.('before')
    const said = given.at(-1)
    const heard = (...answer: unknown[]) => {
      meets?.('after')
      if (typeof said === 'function') said(...answer)
    }
    const sent = typeof said === 'function' ? given.slice(0, -1) : given
    send.apply(this, [...sent, heard] as unknown as Parameters<typeof send>)
  } as typeof send
}

/** One line that is the same in every run: what is made up on the way (the run's name, ids, ports) is called by what it is. */
function named(what: string): string {
  return what
    .replace(/\d{8}-\d{6}-[0-9a-f]{4}/g, 'RUN')
    .replace(/(?<=-[0-9a-f]{8})-[0-9a-f]{4}\b(?!-)/g, '-RUN')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
    .replace(/\s+/g, ' ')
    .slice(0, 160)
}
