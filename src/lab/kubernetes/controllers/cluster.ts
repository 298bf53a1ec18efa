import { type Controller, dig, digList, isReady, podsOf, refOf, withCondition } from './context.ts'

/** Nodes of the machines that joined. A node is ready once a network runs on it, as with any CNI. */
export const nodes: Controller = ({ store, machines }) => {
  const resource = store.kind('Node')
  for (const { name, address, kubeletVersion, bootId } of machines.nodes()) {
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
      .filter(d => /^(cilium|kube-router)$/.test(d.metadata.name))
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
      nodeInfo: {
        kubeletVersion,
        bootID: bootId,
        osImage: 'Flatcar Container Linux',
        kernelVersion: '6.12.51-flatcar',
      },
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
    const stored = digList(crd, 'spec', 'versions').filter(v => v.storage === true)
    store.setStatus(refOf(store, crd), {
      conditions,
      acceptedNames: dig(crd, 'spec', 'names'),
      storedVersions: stored.map(v => v.name),
    })
  }
}

/**
 * A namespace has its service account and the authority's certificate; one that is being deleted takes everything in it
 * along, and goes when nothing is left.
 */
export const namespaces: Controller = ({ store }) => {
  const accounts = store.kind('ServiceAccount')
  for (const namespace of store.all('Namespace')) {
    const name = namespace.metadata.name
    if (namespace.metadata.deletionTimestamp) {
      let left = 0
      for (const resource of store.resources().filter(r => r.namespaced))
        for (const object of store.list(resource, name)) {
          const ref = { resource, namespace: name, name: object.metadata.name }
          store.remove(ref)
          if (store.find(ref)) left += 1
        }
      if (left === 0) store.finalize(refOf(store, namespace))
      continue
    }
    for (const [resource, object] of [
      [
        accounts,
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } },
      ],
      [
        store.kind('ConfigMap'),
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'kube-root-ca.crt', namespace: name },
          data: { 'ca.crt': '' },
        },
      ],
    ] as const)
      if (!store.find({ resource, namespace: name, name: object.metadata.name }))
        store.create(resource, object, 'kube-controller-manager')
  }
}
