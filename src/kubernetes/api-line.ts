import { Agent, request } from 'undici'
import { Fault } from '../runbook/fault.ts'
import type { Answer } from './refusal.ts'

/** Where a cluster is and how long one request may take. */
export interface ApiAccess {
  /** Path of a kubeconfig; read at the first request, since it does not exist before the cluster does. */
  kubeconfig: string
  /** The context in it; its current one where this is absent. */
  context?: string
  /** It is the run’s own file, which the run fetches from a controller; absent for a person’s. */
  fetched?: boolean
  signal?: AbortSignal
  /** Milliseconds for one request; 15,000 by default. */
  timeoutMs?: number
  /**
   * Puts a kubeconfig that works into the place of one that the server no longer knows (401). Asked once for each
   * refusal; absent where nothing may be written.
   */
  renew?: () => Promise<void>
}

/** What a kubeconfig says of a server, as Node's own clients want it. */
export interface ApiWhereabouts {
  server: string
  /** Name of the context in the kubeconfig. */
  context: string
  tls: Record<string, unknown>
  headers: Record<string, string>
}

interface Line extends ApiWhereabouts {
  dispatcher: Agent
}

/** A server that throttles or restarts says when to come again; beyond this the step decides. */
const patience = { times: 5, longestMs: 15_000 }

/** Requests to one API server, as plain JSON. The kubeconfig is read with the first of them. */
export class ApiLine {
  private readonly access: ApiAccess
  private line: Promise<Line> | undefined
  private renewing: Promise<void> | undefined

  constructor(access: ApiAccess) {
    this.access = access
  }

  async close(): Promise<void> {
    const line = await this.line?.catch(() => undefined)
    await line?.dispatcher.destroy()
  }

  /**
   * One request, and again after 429 or 503 with a Retry-After, and once after 401 with a new kubeconfig. What can be asked
   * twice without harm is asked again after any refusal that passes by itself: a look of a hundred objects would else begin
   * anew for one of them.
   */
  async ask(method: string, path: string, body?: object, type = 'application/json'): Promise<Answer> {
    let renewed = false
    for (let times = 1; ; times += 1) {
      const line = await this.open()
      const { answer, retryAfterMs } = await this.once(line, method, path, body, type)
      if (answer.status === 401 && !renewed && this.access.renew && path !== '/readyz') {
        renewed = true
        await this.renew(line, this.access.renew)
      } else if (retryAfterMs !== undefined && times < patience.times)
        await this.sleep(Math.min(retryAfterMs, patience.longestMs))
      else if (times < patience.times && path !== '/readyz' && isHarmless(method, type) && passes(answer))
        await this.sleep(200 * times)
      else {
        if (answer.status === 401) this.forget(line)
        return answer
      }
    }
  }

  /** For what does not go as a request and an answer. */
  async whereabouts(): Promise<ApiWhereabouts> {
    const { server, context, tls, headers } = await this.open()
    return { server, context, tls, headers }
  }

  private async once(
    line: Line,
    method: string,
    path: string,
    body: object | undefined,
    type: string,
  ): Promise<{ answer: Answer; retryAfterMs: number | undefined }> {
    const timeout = AbortSignal.timeout(this.access.timeoutMs ?? 15_000)
    try {
      const response = await request(`${line.server}${path}`, {
        method: method as 'GET',
        dispatcher: line.dispatcher,
        headers: {
          ...line.headers,
          accept: 'application/json',
          'user-agent': 'recover',
          'content-type': type,
        },
        signal: this.access.signal ? AbortSignal.any([timeout, this.access.signal]) : timeout,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.body.text()
      const wait = Number(response.headers['retry-after'])
      const asks = [429, 503].includes(response.statusCode) && Number.isFinite(wait) && wait >= 0
      return {
        answer: { status: response.statusCode, value: parsed(text) },
        retryAfterMs: asks ? wait * 1000 : undefined,
      }
    } catch (cause) {
      if (this.access.signal?.aborted) throw this.access.signal.reason
      throw new Fault({
        code: 'api-unreachable',
        blame: 'network',
        message: `the Kubernetes API at ${line.server} does not answer: ${(cause as Error).message || (cause as { code?: string }).code}`,
        remedy:
          'Look at k0scontroller on the controller (journalctl -u k0scontroller); it is asked again by itself',
        cause,
        transient: true,
      })
    }
  }

  /** The next request reads the kubeconfig anew: somebody may have fetched one meanwhile. */
  private forget(line: Line): void {
    void this.line?.then(current => {
      if (current !== line) return
      this.line = undefined
      return line.dispatcher.close()
    })
  }

  /** Requests that were refused together share one new kubeconfig. */
  private async renew(line: Line, fetch: () => Promise<void>): Promise<void> {
    this.renewing ??= (async () => {
      try {
        if (line !== (await this.line?.catch(() => undefined))) return
        await fetch()
        this.line = undefined
        await line.dispatcher.close()
      } finally {
        this.renewing = undefined
      }
    })()
    await this.renewing
  }

  private sleep(ms: number): Promise<void> {
    const { signal } = this.access
    return new Promise((resolve, reject) => {
      const stopped = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stopped)
        resolve()
      }, ms)
      if (signal?.aborted) stopped()
      signal?.addEventListener('abort', stopped, { once: true })
    })
  }

  private open(): Promise<Line> {
    this.line ??= this.connect().catch(error => {
      this.line = undefined
      throw error
    })
    return this.line
  }

  private async connect(): Promise<Line> {
    const { KubeConfig } = await import('./kubeconfig.ts')
    const config = new KubeConfig()
    try {
      config.loadFromFile(this.access.kubeconfig)
    } catch (cause) {
      throw unreadable(this.access, cause)
    }
    if (this.access.context !== undefined) config.setCurrentContext(this.access.context)
    // The library’s type promises text; of a file that is no kubeconfig it is undefined.
    const context: string | undefined = config.getCurrentContext()
    const hasContext = context && config.getContextObject(context)
    // Nobody chooses among the contexts of a file that k0sctl made: it is cut off.
    if (!hasContext && this.access.fetched) throw unreadable(this.access)
    if (!hasContext)
      throw new Fault({
        code: 'context-unknown',
        blame: 'operator',
        message: `the kubeconfig ${this.access.kubeconfig} has no ${context ? `context ${context}` : 'current context'}`,
        remedy: 'Name one of `kubectl config get-contexts` with --context',
      })
    const options: Record<string, unknown> & { headers?: Record<string, string> } = {}
    await config.applyToHTTPSOptions(options as never)
    const { ca, cert, key, rejectUnauthorized, servername } = options as Record<string, never>
    const tls = {
      ...(ca ? { ca } : {}),
      ...(cert ? { cert } : {}),
      ...(key ? { key } : {}),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
      ...(servername ? { servername } : {}),
    }
    return {
      server: config.getCurrentCluster()?.server ?? '',
      context,
      tls,
      dispatcher: new Agent({
        connect: { ...tls, timeout: 5_000 },
        // A control plane that restarts leaves dead connections behind; short-lived ones are noticed sooner.
        keepAliveTimeout: 1_000,
      }),
      headers: options.headers ?? {},
    }
  }
}

/** Whose file it is decides who mends it. */
function unreadable({ kubeconfig, fetched }: ApiAccess, cause?: unknown): Fault {
  return new Fault({
    code: 'kubeconfig-unreadable',
    blame: 'operator',
    message: `the kubeconfig ${kubeconfig} cannot be read`,
    remedy: fetched
      ? 'Run `recover resume`: it is fetched from the controller again'
      : `See that \`kubectl --kubeconfig ${kubeconfig} config view\` shows a cluster and its user; else name a whole kubeconfig in its place`,
    cause,
  })
}

/** A look, or server-side apply, which wants the same however often it is said. */
function isHarmless(method: string, type: string): boolean {
  return method === 'GET' || type === 'application/apply-patch+yaml'
}

/** A store that is slow, a limit, an object that somebody else changed at this moment; fields of another manager stay theirs. */
function passes({ status, value }: Answer): boolean {
  const { reason, details } = (typeof value === 'object' && value !== null ? value : {}) as {
    reason?: string
    details?: { causes?: unknown[] }
  }
  if (status === 409) return reason === 'Conflict' && details?.causes === undefined
  // A manifest that does not fit its schema is a 500, too, and has no reason.
  return status === 429 || (status >= 500 && reason !== undefined)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
