import { existsSync } from 'node:fs'
import { Agent, request } from 'undici'
import { Fault } from '../runbook/fault.ts'
import {
  type KubernetesObject,
  type KubernetesReader,
  type KubernetesWriter,
  type ObjectRef,
  showRef,
} from './kubernetes.ts'

/** Where a cluster is and how long one request may take. */
export interface ApiAccess {
  /** Path of a kubeconfig; read at the first request, since it does not exist before the cluster does. */
  kubeconfig: string
  signal?: AbortSignal
  /** Milliseconds for one request; 15,000 by default. */
  timeoutMs?: number
}

interface Line {
  server: string
  dispatcher: Agent
  headers: Record<string, string>
}

interface Discovered {
  plural: string
  namespaced: boolean
}

interface Answer {
  status: number
  value: unknown
}

const manager = 'recover'

/**
 * A cluster through its API, as two handles. client-node reads the kubeconfig (certificates, tokens, exec plugins);
 * requests go through undici as plain JSON, since client-node's typed models drop every field that they do not know and
 * its calls have no timeout.
 */
export function connectApi(access: ApiAccess): {
  reader: KubernetesReader
  writer: KubernetesWriter
  close(): Promise<void>
} {
  const api = new Api(access)
  const reader: KubernetesReader = {
    ready: () => api.ready(),
    version: async () => ((await api.must('GET', '/version')) as { gitVersion: string }).gitVersion,
    get: ref => api.get(ref),
    async list(kind) {
      const found = await api.discover(kind)
      if (!found) return []
      const { items } = (await api.must('GET', api.path(kind, found, kind.namespace))) as {
        items: KubernetesObject[]
      }
      return items.map(item => ({ ...item, apiVersion: kind.apiVersion, kind: kind.kind }))
    },
    serves: async kind => (await api.discover(kind)) !== undefined,
  }
  return {
    reader,
    writer: {
      ...reader,
      apply: (object, options) => api.apply(object, options?.force ?? false),
      async patch(ref, patch) {
        const path = await api.pathOf(ref)
        return (await api.must('PATCH', path, patch, 'application/merge-patch+json')) as KubernetesObject
      },
      async remove(ref, uid) {
        const path = await api.pathOf(ref)
        const answer = await api.ask('DELETE', path, {
          preconditions: { uid },
          propagationPolicy: 'Background',
        })
        if (answer.status !== 404 && answer.status >= 300) throw refusal(`delete ${showRef(ref)}`, answer)
      },
    },
    close: () => api.close(),
  }
}

class Api {
  private readonly access: ApiAccess
  private line: Promise<Line> | undefined
  private readonly discovered = new Map<string, Discovered>()

  constructor(access: ApiAccess) {
    this.access = access
  }

  async close(): Promise<void> {
    const line = await this.line?.catch(() => undefined)
    await line?.dispatcher.destroy()
  }

  async ready(): Promise<{ ready: boolean; why: string }> {
    if (!existsSync(this.access.kubeconfig)) return { ready: false, why: 'there is no kubeconfig yet' }
    try {
      const { status, value } = await this.ask('GET', '/readyz')
      return { ready: status === 200, why: status === 200 ? 'ok' : `${status} ${JSON.stringify(value)}` }
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.transient) return { ready: false, why: thrown.message }
      throw thrown
    }
  }

  async get(ref: ObjectRef): Promise<KubernetesObject | undefined> {
    const found = await this.discover(ref)
    if (!found) return undefined
    const answer = await this.ask('GET', this.path(ref, found, ref.namespace, ref.name))
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw refusal(`read ${showRef(ref)}`, answer)
    return answer.value as KubernetesObject
  }

  async apply(object: KubernetesObject, force: boolean): Promise<KubernetesObject> {
    const { name = '', namespace } = object.metadata
    const ref = { apiVersion: object.apiVersion, kind: object.kind, namespace, name }
    const path = await this.pathOf(ref)
    // YAML is a superset of JSON; the media type is the one that apply wants.
    const answer = await this.ask(
      'PATCH',
      `${path}?fieldManager=${manager}&force=${force}`,
      object,
      'application/apply-patch+yaml',
    )
    if (answer.status === 409)
      throw new Fault({
        code: 'field-conflict',
        blame: 'operator',
        message: `${showRef(ref)} has fields that somebody else manages: ${messageOf(answer)}`,
        remedy: 'Find out who manages it (kubectl get --show-managed-fields); take it out of one of the two',
      })
    if (answer.status >= 300) throw refusal(`apply ${showRef(ref)}`, answer)
    return answer.value as KubernetesObject
  }

  async pathOf(ref: ObjectRef): Promise<string> {
    const found = await this.discover(ref)
    if (!found)
      throw new Fault({
        code: 'kind-not-served',
        blame: 'host',
        message: `the cluster does not know the kind ${ref.kind} (${ref.apiVersion}), wanted for ${showRef(ref)}`,
        remedy:
          'Something that brings its definition is not installed or not running yet; look at its operator',
        transient: true,
      })
    return this.path(ref, found, ref.namespace, ref.name)
  }

  path(
    kind: { apiVersion: string; kind: string },
    found: Discovered,
    namespace: string | undefined,
    name?: string,
  ): string {
    const root = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`
    const inside = found.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : ''
    return `${root}${inside}/${found.plural}${name === undefined ? '' : `/${name}`}`
  }

  /** How a kind is served. Asked again as long as it is not: definitions come while we run. */
  async discover(kind: { apiVersion: string; kind: string }): Promise<Discovered | undefined> {
    const key = `${kind.apiVersion} ${kind.kind}`
    const known = this.discovered.get(key)
    if (known) return known
    const root = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`
    const answer = await this.ask('GET', root)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw refusal(`ask for the kinds of ${kind.apiVersion}`, answer)
    const { resources } = answer.value as {
      resources: { name: string; kind: string; namespaced: boolean }[]
    }
    for (const r of resources)
      if (!r.name.includes('/'))
        this.discovered.set(`${kind.apiVersion} ${r.kind}`, { plural: r.name, namespaced: r.namespaced })
    return this.discovered.get(key)
  }

  async must(method: string, path: string, body?: object, type?: string): Promise<unknown> {
    const answer = await this.ask(method, path, body, type)
    if (answer.status >= 300) throw refusal(`${method} ${path}`, answer)
    return answer.value
  }

  async ask(method: string, path: string, body?: object, type = 'application/json'): Promise<Answer> {
    const line = await this.open()
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
      return { status: response.statusCode, value: parsed(text) }
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
      throw new Fault({
        code: 'kubeconfig-unreadable',
        blame: 'operator',
        message: `the kubeconfig ${this.access.kubeconfig} cannot be read`,
        remedy: 'Run `recover resume`: it is fetched from the controller again',
        cause,
      })
    }
    const options: Record<string, unknown> & { headers?: Record<string, string> } = {}
    await config.applyToHTTPSOptions(options as never)
    const { ca, cert, key, rejectUnauthorized, servername } = options as Record<string, never>
    return {
      server: config.getCurrentCluster()?.server ?? '',
      dispatcher: new Agent({
        connect: {
          ...(ca ? { ca } : {}),
          ...(cert ? { cert } : {}),
          ...(key ? { key } : {}),
          ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
          ...(servername ? { servername } : {}),
          timeout: 5_000,
        },
        // A control plane that restarts leaves dead connections behind; short-lived ones are noticed sooner.
        keepAliveTimeout: 1_000,
      }),
      headers: options.headers ?? {},
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function messageOf({ value }: Answer): string {
  const message = (value as { message?: string } | undefined)?.message
  return message ?? JSON.stringify(value)
}

function refusal(doing: string, answer: Answer): Fault {
  // 429 and 5xx pass by themselves; so does a namespace that is being made by somebody else at this moment.
  const transient = answer.status === 429 || answer.status >= 500
  return new Fault({
    code: 'api-refused',
    blame: 'host',
    message: `the cluster refused to ${doing} (${answer.status}): ${messageOf(answer)}`,
    remedy: 'Mend what the message names, then run `recover resume`',
    transient,
  })
}
