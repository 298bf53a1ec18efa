import { describe, expect, test } from 'vitest'
import { drift } from '../../src/kubernetes/drift.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'

type Json = { [key: string]: unknown }

/** A DaemonSet as a chart renders it. */
const manifest = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: {
    name: 'cilium',
    namespace: 'kube-system',
    creationTimestamp: null,
    labels: { 'k8s-app': 'cilium' },
  },
  spec: {
    selector: { matchLabels: { 'k8s-app': 'cilium' } },
    template: {
      metadata: { labels: { 'k8s-app': 'cilium' }, annotations: {} },
      spec: {
        hostNetwork: true,
        securityContext: {},
        tolerations: [{ operator: 'Exists' }],
        containers: [
          {
            name: 'agent',
            image: 'quay.io/cilium/cilium:v1.17.1',
            command: ['cilium-agent'],
            args: ['--config-dir=/tmp/cilium'],
            env: [{ name: 'A', value: '1' }, { name: 'B' }],
            resources: { requests: { cpu: '0.5', memory: '1024Mi' } },
            ports: [{ name: 'peer', containerPort: 4244, hostPort: 4244 }],
            volumeMounts: [{ name: 'run', mountPath: '/run' }],
            securityContext: { privileged: false, capabilities: { add: [] } },
          },
        ],
        volumes: [{ name: 'run', emptyDir: {} }],
      },
    },
  },
} satisfies KubernetesObject

/** The same as an API server gives it back: with defaults, in canonical form, zero values left out. */
function served(change: (live: Json, agent: Json) => void = () => {}): KubernetesObject {
  const agent: Json = {
    ...manifest.spec.template.spec.containers[0]!,
    env: [{ name: 'A', value: '1' }, { name: 'B' }],
    resources: { requests: { cpu: '500m', memory: '1Gi' } },
    ports: [{ name: 'peer', containerPort: 4244, hostPort: 4244, protocol: 'TCP' }],
    volumeMounts: [
      { name: 'run', mountPath: '/run' },
      { name: 'token', mountPath: '/var/run/secrets', readOnly: true },
    ],
    securityContext: { capabilities: {} },
    imagePullPolicy: 'IfNotPresent',
    terminationMessagePath: '/dev/termination-log',
  }
  const live: Json = {
    ...manifest,
    metadata: {
      ...manifest.metadata,
      uid: '1b4e28ba',
      resourceVersion: '7',
      generation: 1,
      creationTimestamp: '2026-11-24T02:15:00Z',
      annotations: { 'deprecated.daemonset.template.generation': '1' },
    },
    spec: {
      ...manifest.spec,
      revisionHistoryLimit: 10,
      updateStrategy: { type: 'RollingUpdate' },
      template: {
        metadata: { creationTimestamp: null, labels: { 'k8s-app': 'cilium' } },
        spec: {
          hostNetwork: true,
          dnsPolicy: 'ClusterFirst',
          securityContext: {},
          tolerations: [{ operator: 'Exists' }],
          containers: [agent, { name: 'sidecar', image: 'injected' }],
          volumes: [{ name: 'run', emptyDir: {} }],
        },
      },
    },
    status: { numberReady: 2 },
  }
  change(live, agent)
  return live as unknown as KubernetesObject
}

test('what the server adds, defaults, leaves out and writes another way is no difference', () => {
  expect(drift(manifest, served())).toEqual([])
})

const edits: [string, (live: Json, agent: Json) => void, string[]][] = [
  [
    'an image',
    (_, agent) => {
      agent.image = 'quay.io/cilium/cilium:v1.16.0'
    },
    ['spec.template.spec.containers[agent].image'],
  ],
  [
    'an argument added',
    (_, agent) => {
      agent.args = ['--config-dir=/tmp/cilium', '--debug']
    },
    ['spec.template.spec.containers[agent].args'],
  ],
  [
    'an environment variable',
    (_, agent) => {
      agent.env = [{ name: 'A', value: '2' }, { name: 'B' }]
    },
    ['spec.template.spec.containers[agent].env[A].value'],
  ],
  [
    'a request',
    (_, agent) => {
      agent.resources = { requests: { cpu: '501m', memory: '1Gi' } }
    },
    ['spec.template.spec.containers[agent].resources.requests.cpu'],
  ],
  [
    'a toleration added to a list that is applied as a whole',
    live => {
      const { spec } = (live.spec as { template: { spec: Json } }).template
      spec.tolerations = [{ operator: 'Exists' }, { key: 'a' }]
    },
    ['spec.template.spec.tolerations'],
  ],
  [
    'a label taken away',
    live => {
      live.metadata = { ...(live.metadata as Json), labels: {} }
    },
    ['metadata.labels.k8s-app'],
  ],
  [
    'a container taken away',
    live => {
      const { spec } = (live.spec as { template: { spec: Json } }).template
      spec.containers = [{ name: 'sidecar' }]
    },
    ['spec.template.spec.containers[agent]'],
  ],
]

test.for(edits)('a hand that changed %s is noticed', ([, edit, paths]) => {
  expect(drift(manifest, served(edit))).toEqual(paths)
})

describe('what we applied once and the manifest names no more', () => {
  const fieldsV1 = {
    'f:metadata': { 'f:labels': { 'f:k8s-app': {}, 'f:old.example/label': {} } },
    'f:spec': {
      'f:template': {
        'f:spec': {
          'f:containers': {
            'k:{"name":"agent"}': {
              '.': {},
              'f:name': {},
              'f:image': {},
              'f:ports': { 'k:{"containerPort":4244,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
            },
            'k:{"name":"gone"}': { '.': {}, 'f:name': {} },
          },
        },
      },
    },
  }
  const withFields = (manager: string, operation: string) =>
    served(live => {
      live.metadata = { ...(live.metadata as Json), managedFields: [{ manager, operation, fieldsV1 }] }
    })

  test('would be removed', () => {
    expect(drift(manifest, withFields('recover', 'Apply'))).toEqual([
      'metadata.labels."old.example/label"',
      'spec.template.spec.containers[gone]',
    ])
  })

  test('somebody else’s stays', () => {
    expect(drift(manifest, withFields('helm', 'Apply'))).toEqual([])
    expect(drift(manifest, withFields('recover', 'Update'))).toEqual([])
  })
})

test('a Secret’s text is compared as it is kept, and no value is told', () => {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    data: { key: 'aGVsbG8g\nd29ybGQ=\n' },
    stringData: { token: 'hunter2' },
  }
  const live = { ...secret, stringData: undefined, data: { key: 'aGVsbG8gd29ybGQ=', token: 'aHVudGVyMg==' } }
  expect(drift(secret, live)).toEqual([])
  const edited = drift(secret, { ...live, data: { key: live.data.key, token: 'b3RoZXI=' } })
  expect(edited).toEqual(['data.token'])
})

test('what controllers fill in is theirs', () => {
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'admin' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
    rules: [],
  }
  expect(drift(role, { ...role, rules: [{ verbs: ['get'] }] as never })).toEqual([])
  const hook = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'w' },
    webhooks: [{ name: 'a.b.c', clientConfig: { caBundle: '', service: { name: 's' } } }],
  }
  const filled = [{ name: 'a.b.c', clientConfig: { caBundle: 'Q0E=', service: { name: 's', port: 443 } } }]
  expect(drift(hook, { ...hook, webhooks: filled })).toEqual([])
})

test('a custom resource’s lists are taken whole', () => {
  const pool = (blocks: object[]) => ({
    apiVersion: 'cilium.io/v2alpha1',
    kind: 'CiliumLoadBalancerIPPool',
    metadata: { name: 'pool' },
    spec: { blocks },
  })
  expect(drift(pool([{ cidr: '192.0.2.0/28' }]), pool([{ cidr: '192.0.2.0/28' }]))).toEqual([])
  expect(drift(pool([{ cidr: '192.0.2.0/28' }]), pool([{ cidr: '192.0.2.0/28' }, { cidr: 'x' }]))).toEqual([
    'spec.blocks',
  ])
})
