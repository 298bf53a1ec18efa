import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Nodes } from '../nodes/nodes.ts'
import type { Pki } from '../pki.ts'
import { dig, digList, isReady } from './controllers/context.ts'
import { volumesOf } from './controllers/pod-volumes.ts'
import type { ObjectStore } from './store.ts'
import type { Stored } from './stored.ts'

/**
 * The way from outside to what runs in the cluster: answers for every host of an Ingress whose service has a pod that
 * is ready. The answer tells what the pod finds on its first volume, so that a check can want a person's own data.
 */
export class IngressEmulator {
  private readonly server: Server

  /** @param cluster the cluster that runs now, or undefined while there is none */
  constructor(pki: Pki, nodes: Nodes, cluster: () => ObjectStore | undefined) {
    const identity = pki.server('ingress')
    this.server = createServer(
      { cert: identity.certificate, key: identity.key },
      async (request, response) => {
        const host = (request.headers.host ?? '').split(':')[0] ?? ''
        const store = cluster()
        const { code, body } = store ? await answer(store, nodes, host) : { code: 502, body: 'no cluster' }
        response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' })
        response.end(`${body}\n`)
      },
    )
  }

  listen(address: string, port = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(port, address, () => resolve((this.server.address() as AddressInfo).port))
    })
  }

  close(): Promise<void> {
    this.server.closeAllConnections()
    return new Promise(resolve => this.server.close(() => resolve()))
  }
}

async function answer(
  store: ObjectStore,
  nodes: Nodes,
  host: string,
): Promise<{ code: number; body: string }> {
  const rule = store
    .all('Ingress')
    .flatMap(ingress => digList(ingress, 'spec', 'rules').map(r => ({ ingress, rule: r })))
    .find(r => r.rule.host === host)
  if (!rule) return { code: 404, body: `no Ingress has the host ${host}` }
  const namespace = String(rule.ingress.metadata.namespace)
  const name = dig<string>(rule.rule, 'http', 'paths', 0, 'backend', 'service', 'name') ?? ''
  const service = store.find({ resource: store.kind('Service'), namespace, name })
  const selector = dig<Record<string, string>>(service, 'spec', 'selector') ?? {}
  const pod = store
    .all('Pod', namespace)
    .find(p => isReady(p) && Object.entries(selector).every(([k, v]) => p.metadata.labels?.[k] === v))
  if (!service || !pod) return { code: 503, body: `no pod of ${namespace}/${name} is ready` }
  return { code: 200, body: (await readme(store, nodes, pod)) ?? `${namespace}/${name} answers` }
}

async function readme(store: ObjectStore, nodes: Nodes, pod: Stored): Promise<string | undefined> {
  const [volume] = volumesOf(store, pod)
  if (volume?.handle === undefined) return undefined
  const found = await nodes.exec(['cat', '/data/README.txt'], { '/data': volume.handle })
  return found?.exit === 0 ? found.stdout.trim() : undefined
}
