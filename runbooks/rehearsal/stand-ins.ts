import type { RemoteDependency } from '../../src/cluster/kustomization.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'

/**
 * What stands in a rehearsal for charts and remote bases, which are not fetched: objects of the same names and kinds,
 * as far as the lab's controllers and Argo CD look at them.
 */
export function standIns(remote: RemoteDependency[], namespace: string): KubernetesObject[] {
  const objects = new Map<string, KubernetesObject>()
  for (const dependency of remote) {
    const text = `${dependency.what} ${dependency.repository ?? ''}`
    const known = recipes.find(([pattern]) => pattern.test(text))
    const made = known
      ? known[1](namespace)
      : [...home(dependency, namespace), deployment(nameOf(dependency), namespace)]
    for (const object of made) objects.set(`${object.kind} ${object.metadata.name}`, object)
  }
  return [...objects.values()]
}

const recipes: [RegExp, (namespace: string) => KubernetesObject[]][] = [
  [
    /cilium/i,
    namespace => [
      daemonSet('cilium', namespace, { hostNetwork: true }),
      deployment('cilium-operator', namespace, { hostNetwork: true }),
    ],
  ],
  [
    /1password|^connect /i,
    namespace => [
      definition('onepassword.com', 'v1', 'OnePasswordItem', 'onepassworditems'),
      deployment('onepassword-connect', namespace, {
        containers: [{ name: 'connect-api', image: '1password/connect-api' }],
        volumes: [{ name: 'credentials', secret: { secretName: 'op-credentials' } }],
      }),
      deployment('onepassword-connect-operator', namespace, {
        containers: [
          {
            name: 'onepassword-connect',
            image: '1password/onepassword-operator',
            env: [
              {
                name: 'OP_CONNECT_TOKEN',
                valueFrom: { secretKeyRef: { name: 'onepassword-token', key: 'token' } },
              },
            ],
          },
        ],
      }),
    ],
  ],
  [
    /argo-?cd/i,
    namespace => [
      definition('argoproj.io', 'v1alpha1', 'Application', 'applications'),
      definition('argoproj.io', 'v1alpha1', 'ApplicationSet', 'applicationsets'),
      definition('argoproj.io', 'v1alpha1', 'AppProject', 'appprojects'),
      statefulSet('argocd-application-controller', namespace),
      deployment('argocd-repo-server', namespace),
      deployment('argocd-server', namespace),
      service('argocd-server', namespace),
      deployment('argocd-redis', namespace),
    ],
  ],
  [
    /synology-csi/i,
    namespace => [
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'CSIDriver',
        metadata: { name: 'csi.san.synology.com' },
        spec: { attachRequired: true },
      },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      statefulSet('synology-csi-controller', namespace),
      daemonSet('synology-csi-node', namespace),
    ],
  ],
]

/** Plain manifests from elsewhere bring their namespace along, as a rule; charts do not. */
function home(dependency: RemoteDependency, namespace: string): KubernetesObject[] {
  return dependency.kind === 'base'
    ? [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }]
    : []
}

function nameOf({ kind, what }: RemoteDependency): string {
  const plain = kind === 'chart' ? (what.split(' ')[0] ?? what) : what.replace(/[?#].*$/, '')
  const last = plain.split('/').filter(Boolean).at(-1) ?? 'remote'
  return last
    .replace(/\.ya?ml$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
}

function workload(
  kind: string,
  name: string,
  namespace: string,
  pod: object,
  more: object,
): KubernetesObject {
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name, image: `stand-in/${name}` }], ...pod },
      },
      ...more,
    },
  }
}

function deployment(name: string, namespace: string, pod: object = {}): KubernetesObject {
  return workload('Deployment', name, namespace, pod, { replicas: 1 })
}

function service(name: string, namespace: string): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector: { app: name }, ports: [{ name: 'https', port: 443 }] },
  }
}

function statefulSet(name: string, namespace: string): KubernetesObject {
  return workload('StatefulSet', name, namespace, {}, { replicas: 1, serviceName: name })
}

function daemonSet(name: string, namespace: string, pod: object = {}): KubernetesObject {
  return workload('DaemonSet', name, namespace, pod, {})
}

function definition(group: string, version: string, kind: string, plural: string): KubernetesObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  }
}
