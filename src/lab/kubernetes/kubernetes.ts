import { parseAllDocuments } from 'yaml'
import { goYaml } from '../../kubernetes/go-yaml.ts'
import type { Blueprint, KubernetesObject } from '../blueprint.ts'
import { restoredMark } from '../hosts/k0s.ts'
import type { Nodes } from '../nodes/nodes.ts'
import type { Pki } from '../pki.ts'
import type { ApiSeam, MachinesSeam, NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { dig, digList } from './controllers/context.ts'
import { Reconciler } from './controllers/reconcile.ts'
import { ExecServer } from './exec-server.ts'
import { runInPod } from './pod-programs.ts'
import { ApiServer } from './server.ts'
import { ObjectStore } from './store.ts'

/** What the archive's own objects do not hold already; definitions and namespaces first, without which there is nothing else. */
function bringBack(store: ObjectStore, workloads: readonly KubernetesObject[]): void {
  const first = ['CustomResourceDefinition', 'Namespace']
  const rank = ({ kind }: KubernetesObject) => (first.includes(kind) ? first.indexOf(kind) : first.length)
  for (const object of workloads.toSorted((a, b) => rank(a) - rank(b))) {
    const resource = store.type(object.apiVersion, object.kind)
    const { name, namespace } = object.metadata
    if (!resource || name === undefined) continue
    const place = resource.namespaced ? { namespace: namespace ?? 'default' } : {}
    if (!store.find({ resource, name, ...place }))
      store.putBack(resource, { ...object, metadata: { ...object.metadata, ...place } })
  }
}

/** A schema that takes any object, as charts write it whose kinds are to be taken on trust. */
const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

/**
 * The lab's Kubernetes: an API server with its store and controllers. It lives while a controller machine runs k0s; a
 * control plane with a new data directory is an empty cluster.
 */
export class KubernetesEmulator {
  readonly seam: ApiSeam
  private readonly world: World
  private readonly machines: MachinesSeam
  private readonly server: ApiServer
  private readonly reconciler: Reconciler
  private open: { epoch: string; store: ObjectStore } | undefined
  private port = 0

  constructor(world: World, pki: Pki, machines: MachinesSeam, nas: NasSeam, nodes: Nodes) {
    this.world = world
    this.machines = machines
    const exec = new ExecServer((store, pod, container, command) =>
      runInPod({ store, nodes, world }, pod, container, command),
    )
    this.server = new ApiServer(world, pki, machines, () => this.store(), exec)
    this.reconciler = new Reconciler(
      { world, machines, nas, nodes },
      () => this.store(),
      () => this.server.dropLines(),
    )
    nodes.onChange(() => this.reconciler.poke())
    const admin = pki.client('kubernetes-admin', ['system:masters'])
    this.seam = {
      adminKubeconfig: () =>
        kubeconfigText(`https://${world.address}:${this.port}`, pki.ca.certificate, admin),
      // Asking before there is a control plane would begin one.
      clusterUid: () => (machines.controlPlaneUp() ? this.namespaceUid() : ''),
      ready: () => machines.controlPlaneUp(),
      node: name => {
        if (!machines.controlPlaneUp()) return undefined
        const node = this.store().find({ resource: this.store().kind('Node'), name })
        return (
          node && {
            ready: digList(node, 'status', 'conditions').some(c => c.type === 'Ready' && c.status === 'True'),
          }
        )
      },
      apply: yaml => {
        for (const document of parseAllDocuments(yaml, goYaml)) {
          const object = document.toJS() as KubernetesObject
          const resource = this.store().type(object.apiVersion, object.kind)
          if (!resource)
            throw new Error(`no matches for kind "${object.kind}" in version "${object.apiVersion}"`)
          const namespace = resource.namespaced ? (object.metadata.namespace ?? 'default') : undefined
          this.store().apply({ resource, namespace, name: String(object.metadata.name) }, object, 'kubectl', {
            force: true,
          })
        }
      },
    }
  }

  async listen(port = 0): Promise<number> {
    this.port = await this.server.listen(port)
    return this.port
  }

  async close(): Promise<void> {
    this.reconciler.close()
    await this.server.close()
  }

  /** Every connection ends, as when the API server is restarted. */
  dropLines(): void {
    this.server.dropLines()
  }

  /** The cluster of the control plane that runs now. */
  store(): ObjectStore {
    const epoch = this.machines.controlPlaneEpoch()
    if (this.open?.epoch === epoch) return this.open.store
    const store = new ObjectStore(this.world, epoch)
    this.open = { epoch, store }
    if (epoch.startsWith(restoredMark) && store.all('Namespace').length === 0) {
      const { objects = [], workloads = [] } = this.world.blueprint.backup ?? {}
      for (const object of objects) {
        const resource = store.type(object.apiVersion, object.kind)
        if (resource) store.putBack(resource, object)
      }
      if (this.world.suffers('workloads-return', 'the archive')) bringBack(store, workloads)
    }
    for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
      const ref = { resource: store.kind('Namespace'), name }
      if (!store.find(ref))
        store.create(
          ref.resource,
          { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
          'kube-apiserver',
        )
    }
    for (const object of broughtByK0s(this.world.blueprint.network)) {
      const ref = {
        resource: store.kind(object.kind),
        namespace: 'kube-system',
        name: String(object.metadata.name),
      }
      if (!store.find(ref)) store.create(ref.resource, object, 'k0s')
    }
    for (const { apiVersion, kind, namespaced } of this.world.blueprint.kinds ?? []) {
      const [group = '', version = ''] = apiVersion.split('/')
      const plural = `${kind.toLowerCase()}s`
      const ref = { resource: store.kind('CustomResourceDefinition'), name: `${plural}.${group}` }
      if (store.find(ref) || store.type(apiVersion, kind)) continue
      store.create(
        ref.resource,
        {
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'CustomResourceDefinition',
          metadata: { name: ref.name },
          spec: {
            group,
            scope: namespaced ? 'Namespaced' : 'Cluster',
            names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
            versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: anything } }],
          },
        },
        'lab',
      )
    }
    store.watch(() => this.reconciler.poke())
    this.reconciler.poke()
    return store
  }

  private namespaceUid(): string {
    const store = this.store()
    return (
      dig(store.find({ resource: store.kind('Namespace'), name: 'kube-system' }), 'metadata', 'uid') ?? ''
    )
  }
}

/** k0s brings CoreDNS by itself, and a network where its config does not leave that to others. */
function broughtByK0s(network: Blueprint['network']): KubernetesObject[] {
  const workload = (
    kind: string,
    name: string,
    label: string,
    pod: object,
    more: object,
  ): KubernetesObject => ({
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace: 'kube-system', labels: { 'k8s-app': label } },
    spec: {
      selector: { matchLabels: { 'k8s-app': label } },
      template: {
        metadata: { labels: { 'k8s-app': label } },
        spec: { containers: [{ name, image: `quay.io/k0sproject/${name}` }], ...pod },
      },
      ...more,
    },
  })
  return [
    workload('Deployment', 'coredns', 'kube-dns', {}, { replicas: 1 }),
    ...(network === 'kube-router'
      ? [workload('DaemonSet', 'kube-router', 'kube-router', { hostNetwork: true }, {})]
      : []),
  ]
}

/** A kubeconfig in the form in which k0s prints it; opens by a client certificate or by a token. */
export function kubeconfigText(
  server: string,
  ca: string,
  login: { certificate: string; key: string } | { token: string },
): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  return [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    '- name: local',
    '  cluster:',
    `    server: ${server}`,
    `    certificate-authority-data: ${base64(ca)}`,
    'contexts:',
    '- name: Default',
    '  context: { cluster: local, namespace: default, user: user }',
    'current-context: Default',
    'users:',
    '- name: user',
    '  user:',
    ...('token' in login
      ? [`    token: ${login.token}`]
      : [
          `    client-certificate-data: ${base64(login.certificate)}`,
          `    client-key-data: ${base64(login.key)}`,
        ]),
    '',
  ].join('\n')
}
