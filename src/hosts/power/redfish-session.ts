import { request } from 'undici'
import { Fault } from '../../runbook/fault.ts'
import { pinFault, pinnedAgent } from '../../tls/pinned-agent.ts'
import { loginRefused, unreachable } from './faults.ts'
import type { Pace } from './switching.ts'
import { rest } from './until.ts'

export interface RedfishAccess extends Pace {
  /** How messages call it: `the BMC of lithium (https://192.0.2.111)`. */
  where: string
  /** `https://192.0.2.111`. */
  url: string
  /** SHA-256 of the BMC's certificate (DER): `sha256:` and hex. Nothing is sent to one with another. */
  fingerprint: string
  username: () => Promise<string>
  /** Asked for once per login, never kept. */
  password: () => Promise<string>
  /** Milliseconds for one request; default 30 s: BMCs are slow. */
  requestTimeoutMs?: number | undefined
}

/** A resource of Redfish, as far as it is looked at. */
export type Resource = Record<string, unknown>

export interface Answer {
  status: number
  body: Resource
  etag?: string
  location?: string
}

/** The BMC understood and refused. `said` are its own words, `ids` the ids of its messages. */
export class RedfishRefusal extends Error {
  readonly status: number
  readonly said: string
  readonly ids: string[]
  constructor(status: number, body: Resource) {
    const messages = messagesOf(body)
    const said = messages.map(m => m.text).filter(Boolean)
    super(`HTTP status ${status}`)
    this.status = status
    this.said = said.length === 0 ? `HTTP status ${status}` : [...new Set(said)].join(' / ')
    this.ids = messages.map(m => m.id)
  }
}

/** A logged-in conversation: one connection, one request at a time, which is what BMCs bear. */
export interface RedfishSession {
  /** A path, or an address of this BMC's. Throws Fault, or {@link RedfishRefusal}. */
  get(path: string, signal: AbortSignal): Promise<Answer>
  /** Like `get`; sent once: a lost answer is Fault `power-unreachable`, and whether it was done is not known. */
  send(
    method: 'POST' | 'PATCH',
    path: string,
    body: object,
    signal: AbortSignal,
    etag?: string,
  ): Promise<Answer>
  /** Ends the session on the BMC, which has few of them, and the connection. Never throws. */
  close(): Promise<void>
}

type Login = { token: string; session: string } | { basic: string }

/** A session where the BMC has them, name and password with every request where it has none; logs in when first used. */
export function openRedfish(access: RedfishAccess): RedfishSession {
  const { where } = access
  const { agent, abandon } = pinnedAgent({
    fingerprint: access.fingerprint,
    differs: seen => certificateDiffers(access, seen),
    limitMs: access.requestTimeoutMs,
    pool: { connections: 1, pipelining: 1 },
  })
  const base = new URL(access.url)
  let login: Login | undefined
  // Asked again, a BMC that said no would count another wrong password.
  let locked: Fault | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** One after the other. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work)
    last = mine.catch(() => undefined)
    return mine
  }

  const exchange = async (
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    headers: Record<string, string>,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<Answer & { token?: string }> => {
    // An address that a BMC gives may name another host, which gets neither our token nor our request.
    if (!URL.canParse(path, base.href)) throw notRedfish(where, `the address ${path}`)
    const { pathname, search } = new URL(path, base)
    const timeout = AbortSignal.timeout(access.requestTimeoutMs ?? 30_000)
    signal.throwIfAborted()
    const end = AbortSignal.any([signal, timeout])
    end.addEventListener('abort', abandon)
    try {
      const answer = await request(new URL(pathname + search, base), {
        method,
        dispatcher: agent,
        headers: {
          accept: 'application/json',
          'odata-version': '4.0',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: end,
      })
      const text = await answer.body.text()
      const header = (name: string) => {
        const value = answer.headers[name]
        return Array.isArray(value) ? value[0] : value
      }
      const json = parsed(text)
      if (answer.statusCode >= 200 && answer.statusCode < 300 && json === undefined && method === 'GET')
        throw notRedfish(where, text)
      const etag = header('etag') ?? (json?.['@odata.etag'] as string | undefined)
      const location = header('location')
      const token = header('x-auth-token')
      return {
        status: answer.statusCode,
        body: json ?? {},
        ...(etag ? { etag } : {}),
        ...(location ? { location } : {}),
        ...(token ? { token } : {}),
      }
    } catch (cause) {
      if (cause instanceof Fault) throw cause
      signal.throwIfAborted()
      throw pinFault(cause) ?? unreachable(where, cause)
    } finally {
      end.removeEventListener('abort', abandon)
    }
  }

  /** A look may be repeated: BMCs close connections that they thought idle. */
  const look = async (path: string, headers: Record<string, string>, signal: AbortSignal) => {
    try {
      return await exchange('GET', path, headers, undefined, signal)
    } catch (thrown) {
      const broken =
        thrown instanceof Fault && /ECONNRESET|other side closed|EPIPE/.test(String(thrown.cause))
      if (!broken) throw thrown
      return await exchange('GET', path, headers, undefined, signal)
    }
  }

  const logIn = async (signal: AbortSignal): Promise<Login> => {
    if (locked) throw locked
    const root = await look('/redfish/v1/', {}, signal)
    if (root.status >= 400) throw notRedfish(where, `HTTP status ${root.status}`)
    const sessions = idOf((root.body.Links as Resource | undefined)?.Sessions)
    const UserName = await access.username()
    const Password = await access.password()
    const basic = { basic: `Basic ${Buffer.from(`${UserName}:${Password}`).toString('base64')}` }
    if (sessions === undefined) return basic
    const answer = await exchange('POST', sessions, {}, { UserName, Password }, signal)
    if (answer.status < 300 && answer.token)
      return { token: answer.token, session: answer.location ?? idOf(answer.body) ?? '' }
    const refusal = new RedfishRefusal(answer.status, answer.body)
    // Sessions are few, and other clients forget to end theirs.
    const full = refusal.ids.some(id => /SessionLimit|CreateLimitReached|ResourceExhaustion/.test(id))
    if (full || [404, 405, 501].includes(answer.status) || answer.status < 300) return basic
    if ([400, 401, 403].includes(answer.status)) {
      locked = loginRefused(where, refusal.said)
      throw locked
    }
    throw unreachable(where, refusal)
  }

  const loggedIn = async (signal: AbortSignal): Promise<Login> => {
    login ??= await logIn(signal)
    return login
  }

  const call = async (
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    body: object | undefined,
    signal: AbortSignal,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    for (let again = 0, busy = 0; ; ) {
      const current = await loggedIn(signal)
      const all = {
        ...headers,
        ...('basic' in current ? { authorization: current.basic } : { 'x-auth-token': current.token }),
      }
      const answer =
        method === 'GET' ? await look(path, all, signal) : await exchange(method, path, all, body, signal)
      if (answer.status === 401) {
        // A session is over after half an hour without a word; a name and a password that are refused stay so.
        if (login === current) login = undefined
        if ('token' in current && again === 0) {
          again += 1
          continue
        }
        locked = loginRefused(where, new RedfishRefusal(401, answer.body).said)
        throw locked
      }
      // It did not begin with it; many say so for some seconds after another order.
      if ((answer.status === 503 || answer.status === 429) && busy < 5) {
        busy += 1
        await rest(2_000 * busy * (access.pace ?? 1), signal)
        continue
      }
      if (answer.status === 503 || answer.status === 429)
        throw unreachable(where, new RedfishRefusal(answer.status, answer.body))
      if (answer.status >= 300) throw new RedfishRefusal(answer.status, answer.body)
      return answer
    }
  }

  return {
    get: (path, signal) => inTurn(() => call('GET', path, undefined, signal)),
    send: (method, path, body, signal, etag) =>
      inTurn(() => call(method, path, body, signal, etag === undefined ? {} : { 'if-match': etag })),
    close: () =>
      inTurn(async () => {
        if (login && 'token' in login && login.session !== '')
          await exchange(
            'DELETE',
            login.session,
            { 'x-auth-token': login.token },
            undefined,
            AbortSignal.timeout(5_000),
          ).catch(() => undefined)
        login = undefined
        abandon()
        await agent.destroy()
      }),
  }
}

/** `@odata.id` of a link. */
export function idOf(link: unknown): string | undefined {
  const id = (link as Resource | undefined)?.['@odata.id']
  return typeof id === 'string' && id !== '' ? id : undefined
}

/** The resources of a list; one that stands alone where a list is due is one of one. What is no resource is passed over. */
export function listOf(value: unknown): Resource[] {
  const items: unknown[] = Array.isArray(value) ? value : [value]
  return items.filter((item): item is Resource => typeof item === 'object' && item !== null)
}

/** What a BMC says in `error` and `@Message.ExtendedInfo`, or a task in `Messages`. */
export function messagesOf(body: Resource): { id: string; text: string }[] {
  const error = (body.error ?? body) as Resource
  const list = error['@Message.ExtendedInfo'] ?? body['@Message.ExtendedInfo'] ?? body.Messages
  const told = listOf(list).map(m => ({
    id: String(m.MessageId ?? ''),
    text: String(m.Message ?? m.MessageId ?? '').trim(),
  }))
  if (told.length > 0) return told
  return error.message === undefined
    ? []
    : [{ id: String(error.code ?? ''), text: String(error.message).trim() }]
}

function parsed(text: string): Resource | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Resource) : undefined
  } catch {
    return undefined
  }
}

function notRedfish(where: string, said: string): Fault {
  return new Fault({
    code: 'power-not-redfish',
    blame: 'operator',
    message: `what answers as ${where} does not speak Redfish (${said.slice(0, 60).replaceAll(/\s+/g, ' ')})`,
    remedy:
      'Check the address; older BMCs must have Redfish switched on in their settings, or be used by `power: { ipmi: … }`',
  })
}

function certificateDiffers(access: RedfishAccess, seen: string): Fault {
  return new Fault({
    code: 'power-certificate-differs',
    blame: 'operator',
    message: `what answers as ${access.where} shows the certificate ${seen}, not ${access.fingerprint}; nothing was sent to it`,
    remedy:
      'If the BMC has a new certificate (they make one when they are reset), put its fingerprint into hosts.NAME.power.fingerprint of recover.yaml; if not, something else answers at that address',
  })
}
