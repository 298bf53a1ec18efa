import { type Controller, dig, digList, isReady, podsOf, refOf, withCondition } from './context.ts'

/** Nodes of the machines that joined. A node is ready once a network runs on it, as with any CNI. */
export const nodes: Controller = ({ store, machines }) => {
  const resource = store.kind('Node')
  for (const { name, address, kubeletVersion } of machines.nodes()) {
    const ref = { resource, name }
    if (!store.find(ref))
      store.create(
        resource,
        {
          apiVersion: 'v1',
          kind: 'Node',
          metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
          spec: {},
        },
        'kubelet',
      )
    const agent = store
      .all('DaemonSet')
      .filter(d => d.metadata.name === 'cilium')
      .flatMap(d => podsOf(store, d))
      .some(pod => dig(pod, 'spec', 'nodeName') === name && isReady(pod))
    const node = store.get(ref)
    const conditions = withCondition(
      digList(node, 'status', 'conditions'),
      'Ready',
      agent,
      agent ? 'KubeletReady' : 'KubeletNotReady',
      agent
        ? 'kubelet is posting ready status'
        : 'container runtime network not ready: cni plugin not initialized',
    )
    store.setStatus(ref, {
      conditions,
      addresses: [
        { type: 'InternalIP', address },
        { type: 'Hostname', address: name },
      ],
      nodeInfo: { kubeletVersion, osImage: 'Flatcar Container Linux' },
    })
  }
}

/** Definitions are established at once. */
export const definitions: Controller = ({ store }) => {
  for (const crd of store.all('CustomResourceDefinition')) {
    const conditions = withCondition(
      withCondition(digList(crd, 'status', 'conditions'), 'NamesAccepted', true, 'NoConflicts'),
      'Established',
      true,
      'InitialNamesAccepted',
    )
    store.setStatus(refOf(store, crd), { conditions, acceptedNames: dig(crd, 'spec', 'names') })
  }
}

/** A namespace has its service account; one that is being deleted takes everything in it along. */
export const namespaces: Controller = ({ store }) => {
  const accounts = store.kind('ServiceAccount')
  for (const namespace of store.all('Namespace')) {
    const name = namespace.metadata.name
    const ref = { resource: accounts, namespace: name, name: 'default' }
    if (!store.find(ref))
      store.create(
        accounts,
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } },
        'kube-controller-manager',
      )
    if (dig(namespace, 'status', 'phase') !== 'Active')
      store.setStatus(refOf(store, namespace), { phase: 'Active' })
  }
  const alive = new Set(store.all('Namespace').map(n => n.metadata.name))
  for (const resource of store.resources().filter(r => r.namespaced))
    for (const object of store.list(resource))
      if (!alive.has(String(object.metadata.namespace)))
        store.remove({ resource, namespace: String(object.metadata.namespace), name: object.metadata.name })
}
