import { type Controller, dig, refOf, runs } from './context.ts'

const version = 'cilium.io/v2'

// What the operator of Cilium 1.20 registers at its start with default features; others need switches.
const kinds: [kind: string, plural: string, scope: 'Cluster' | 'Namespaced'][] = [
  ['CiliumNode', 'ciliumnodes', 'Cluster'],
  ['CiliumIdentity', 'ciliumidentities', 'Cluster'],
  ['CiliumEndpoint', 'ciliumendpoints', 'Namespaced'],
  ['CiliumNetworkPolicy', 'ciliumnetworkpolicies', 'Namespaced'],
  ['CiliumClusterwideNetworkPolicy', 'ciliumclusterwidenetworkpolicies', 'Cluster'],
  ['CiliumLoadBalancerIPPool', 'ciliumloadbalancerippools', 'Cluster'],
]

/** The operator creates the definitions that everything else of Cilium's needs; the agent waits for them. */
export const ciliumOperator: Controller = ({ store, machines }) => {
  if (!runs(store, /^cilium-operator$/)) return
  const definitions = store.kind('CustomResourceDefinition')
  const [group = '', name = ''] = version.split('/')
  for (const [kind, plural, scope] of kinds) {
    const ref = { resource: definitions, name: `${plural}.${group}` }
    if (store.find(ref)) continue
    store.create(
      definitions,
      {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: ref.name },
        spec: {
          group,
          scope,
          names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
          versions: [
            {
              name,
              served: true,
              storage: true,
              schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            },
          ],
        },
      },
      'cilium-operator-generic',
    )
  }
  const resource = store.type(version, 'CiliumNode')
  if (!resource) return
  for (const machine of machines.nodes()) {
    const ref = { resource, name: machine.name }
    if (!store.find(ref))
      store.create(
        resource,
        { apiVersion: version, kind: 'CiliumNode', metadata: { name: machine.name }, spec: {} },
        'cilium-agent',
      )
  }
}

/** Pools give LoadBalancer services an address. */
export const loadBalancers: Controller = ({ store }) => {
  const [pool] = store.all('CiliumLoadBalancerIPPool')
  const block =
    dig<string>(pool, 'spec', 'blocks', 0, 'cidr') ?? dig<string>(pool, 'spec', 'blocks', 0, 'start')
  if (block === undefined) return
  for (const service of store.all('Service'))
    if (
      dig(service, 'spec', 'type') === 'LoadBalancer' &&
      dig(service, 'status', 'loadBalancer') === undefined
    )
      store.setStatus(refOf(store, service), { loadBalancer: { ingress: [{ ip: block.split('/')[0] }] } })
}
