import { Agent, request } from 'undici'
import type { z } from 'zod'
import { Fault } from '../../runbook/fault.ts'
import { pinFault, pinnedAgent } from '../../tls/pinned-agent.ts'
import * as answers from './answers.ts'
import { answerUnknown, certificateChanged, DsmFault, loginFault, notDsm, unreachable } from './faults.ts'

export interface SynologyAccess {
  /** `https://192.0.2.17:5001`. Over `http://` everybody on the way reads the password. */
  url: string
  /**
   * SHA-256 of the NAS's certificate (DER): `sha256:` and hex. Nothing is sent to a NAS with another one. Undefined for
   * `http://` alone.
   */
  fingerprint: string | undefined
  account: () => Promise<string>
  /** Asked for once per login, never kept. */
  password: () => Promise<string>
  signal?: AbortSignal
  /** Milliseconds for one request; default 30 s. */
  requestTimeoutMs?: number
  /** Logs in as the CSI driver does: without the token that protection against CSRF wants with every request. */
  withoutToken?: boolean
  /** Scales the time between two looks at a clone that is being made; 1 is real life. */
  pace?: number
}

/** Values are sent as JSON text, as DSM wants them: an unquoted `3` for an id that is a string would be refused. */
export type Parameters_ = Record<string, string | number | boolean | readonly (string | number)[] | object>

/** A logged-in conversation with DSM: logs in when first needed, and once more when the session was lost. */
export interface SynologySession {
  /** What DSM answers, if it has the form that is told here; Fault `nas-answer-unknown` otherwise. */
  ask<S extends z.ZodType>(
    api: string,
    method: string,
    version: number,
    parameters: Parameters_,
    answer: S,
  ): Promise<z.infer<S>>
  /** What DSM answers, unseen: to a change, which is read back, or to a question of whoever looks at it himself. */
  call<T>(api: string, method: string, version: number, parameters?: Parameters_): Promise<T>
  close(): Promise<void>
}

// Only these say "log in again"; a wrong password repeated would lock the account and the CSI driver out with it.
// A session belongs to the address that it was begun from, which a laptop may change (150).
const sessionLost = new Set([105, 106, 119, 150])

/**
 * A session with DSM’s Web API. Nothing is sent before the first call, which finds the APIs and logs in; a session that
 * DSM forgot is opened once more for the call that found out. Calls throw Faults (docs/errors.md, `nas-…`).
 */
export function openSession(access: SynologyAccess): SynologySession {
  const { agent, abandon } = agentFor(access)
  access.signal?.addEventListener('abort', abandon)
  let session: { sid: string; token?: string } | undefined
  let loggingIn: Promise<{ sid: string; token?: string }> | undefined

  const post = async (
    cgi: string,
    form: URLSearchParams,
    headers: Record<string, string>,
  ): Promise<Envelope> => {
    const timeout = AbortSignal.timeout(access.requestTimeoutMs ?? 30_000)
    try {
      const { statusCode, body } = await request(`${access.url}/webapi/${cgi}`, {
        method: 'POST',
        dispatcher: agent,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: form.toString(),
        signal: access.signal ? AbortSignal.any([access.signal, timeout]) : timeout,
      })
      const text = await body.text()
      if (statusCode !== 200 && statusCode !== 302)
        throw unreachable(access.url, new Error(`it answered with HTTP status ${statusCode}`))
      return envelopeOf(access.url, text)
    } catch (cause) {
      if (cause instanceof Fault) throw cause
      if (access.signal?.aborted) throw access.signal.reason
      throw pinFault(cause) ?? unreachable(access.url, cause)
    }
  }

  const login = async () => {
    const form = new URLSearchParams({
      api: 'SYNO.API.Auth',
      method: 'login',
      version: '6',
      account: await access.account(),
      passwd: await access.password(),
      format: 'sid',
      ...(access.withoutToken ? {} : { enable_syno_token: 'yes' }),
    })
    const answer = await post('auth.cgi', form, {})
    if (!answer.success) throw loginFault(access.url, answer.error?.code ?? 100)
    const data = read(access.url, 'SYNO.API.Auth login', answer.data, answers.login)
    return { sid: data.sid, ...(data.synotoken === undefined ? {} : { token: data.synotoken }) }
  }

  const loggedIn = async () => {
    if (session) return session
    loggingIn ??= login().finally(() => {
      loggingIn = undefined
    })
    const fresh = await loggingIn
    session ??= fresh
    return session
  }

  const conversation: SynologySession = {
    async ask(api, method, version, parameters, answer) {
      return read(
        access.url,
        `${api} ${method}`,
        await conversation.call(api, method, version, parameters),
        answer,
      )
    },
    async call<T>(api: string, method: string, version: number, parameters: Parameters_ = {}): Promise<T> {
      for (let attempt = 1; ; attempt += 1) {
        const current = await loggedIn()
        const form = new URLSearchParams({ api, method, version: String(version), _sid: current.sid })
        const discovery = api === 'SYNO.API.Info'
        for (const [name, value] of Object.entries(parameters))
          form.set(name, discovery ? String(value) : JSON.stringify(value))
        const answer = await post(discovery ? 'query.cgi' : 'entry.cgi', form, {
          cookie: `id=${current.sid}`,
          ...(current.token === undefined ? {} : { 'x-syno-token': current.token }),
        })
        if (answer.success) return (answer.data ?? {}) as T
        const code = answer.error?.code ?? 100
        if (attempt === 1 && sessionLost.has(code)) {
          if (session === current) session = undefined
          continue
        }
        throw new DsmFault(access.url, `${api} ${method}`, code)
      }
    },
    async close() {
      if (session) {
        const form = new URLSearchParams({
          api: 'SYNO.API.Auth',
          method: 'logout',
          version: '6',
          _sid: session.sid,
        })
        await post('entry.cgi', form, { cookie: `id=${session.sid}` }).catch(() => undefined)
      }
      access.signal?.removeEventListener('abort', abandon)
      // Whoever is still waiting for an answer was told to stop; a connection that is being made would hold us up.
      abandon()
      await agent.close()
    },
  }
  return conversation
}

function envelopeOf(url: string, text: string): Envelope {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw notDsm(url)
  }
  const { success, error } = (parsed ?? {}) as { success?: unknown; error?: { code?: unknown } }
  if (typeof success !== 'boolean') throw notDsm(url)
  return {
    success,
    data: (parsed as { data?: unknown }).data,
    ...(typeof error?.code === 'number' ? { error: { code: error.code } } : {}),
  }
}

function read<S extends z.ZodType>(url: string, what: string, data: unknown, answer: S): z.infer<S> {
  const found = answer.safeParse(data ?? {})
  if (found.success) return found.data
  const [issue] = found.error.issues
  throw answerUnknown(url, what, `${issue?.path.join('.')}: ${issue?.message}`)
}

function agentFor({ url, fingerprint, requestTimeoutMs }: SynologyAccess): { agent: Agent; abandon(): void } {
  if (url.startsWith('http://')) return { agent: new Agent(), abandon: () => undefined }
  // Without a fingerprint nothing is the right one.
  const trusted = fingerprint ?? 'none'
  return pinnedAgent({
    fingerprint: trusted,
    differs: seen => certificateChanged(url, trusted, seen),
    limitMs: requestTimeoutMs,
  })
}

interface Envelope {
  success: boolean
  data?: unknown
  error?: { code: number }
}
