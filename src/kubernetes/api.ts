import { existsSync } from 'node:fs'
import { Fault } from '../runbook/fault.ts'
import { type ApiAccess, ApiLine } from './api-line.ts'
import {
  type KubernetesObject,
  type KubernetesReader,
  type KubernetesWriter,
  type ObjectRef,
  showRef,
} from './kubernetes.ts'
import { type Answer, refusal } from './refusal.ts'

interface Discovered {
  plural: string
  namespaced: boolean
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
  /** Which server the kubeconfig leads to, and by which of its contexts. */
  where(): Promise<{ server: string; context: string }>
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
    async log({ namespace, name }, container, lines) {
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/log?container=${container}&tailLines=${lines}`
      const { status, value } = await api.ask('GET', path)
      // 400: the container waits. 404: the pod is gone. 5xx: its kubelet does not answer.
      if (status !== 200) return undefined
      return typeof value === 'string' ? value : JSON.stringify(value)
    },
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
    where: () => api.where(),
    close: () => api.close(),
  }
}

class Api {
  private readonly access: ApiAccess
  private readonly line: ApiLine
  private readonly discovered = new Map<string, Discovered>()

  constructor(access: ApiAccess) {
    this.access = access
    this.line = new ApiLine(access)
  }

  close(): Promise<void> {
    return this.line.close()
  }

  async where(): Promise<{ server: string; context: string }> {
    const { server, context } = await this.line.whereabouts()
    return { server, context }
  }

  ask(method: string, path: string, body?: object, type?: string): Promise<Answer> {
    return this.line.ask(method, path, body, type)
  }

  async ready(): Promise<{ ready: boolean; why: string }> {
    if (!existsSync(this.access.kubeconfig)) return { ready: false, why: 'there is no kubeconfig yet' }
    try {
      const { status, value } = await this.ask('GET', '/readyz')
      return { ready: status === 200, why: status === 200 ? 'ok' : `${status} ${JSON.stringify(value)}` }
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown
      const isFetchedAgain = thrown.code === 'kubeconfig-unreadable' && this.access.fetched
      if (thrown.transient || isFetchedAgain) return { ready: false, why: thrown.message }
      throw thrown
    }
  }

  async get(ref: ObjectRef): Promise<KubernetesObject | undefined> {
    const found = await this.discover(ref)
    if (!found) return undefined
    const answer = await this.ask('GET', this.path(ref, found, ref.namespace ?? 'default', ref.name))
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
    // As kubectl does it for a manifest that names none.
    return this.path(ref, found, ref.namespace ?? 'default', ref.name)
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
    // Of an aggregated API that is away the server says only this; all others are served as ever.
    if (answer.status === 503 && root.startsWith('/apis/')) throw aggregatedAway(kind.apiVersion)
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
}

function aggregatedAway(apiVersion: string): Fault {
  const service = apiVersion.split('/').reverse().join('.')
  return new Fault({
    code: 'aggregated-api-away',
    blame: 'host',
    message: `the part of the API that serves ${apiVersion} does not answer`,
    remedy: `Look at who serves it (kubectl get apiservice ${service} -o yaml), or delete that APIService if it is not wanted any more`,
    transient: true,
  })
}
