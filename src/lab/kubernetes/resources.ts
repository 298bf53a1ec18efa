import type { KubernetesObject } from '../blueprint.ts'
import type { Schema } from './schema.ts'

/** A kind that the API server serves. */
export interface ResourceType {
  group: string
  version: string
  plural: string
  kind: string
  namespaced: boolean
  shortNames: string[]
  /** Whether /status is a resource of its own, which ordinary writes leave alone. */
  status: boolean
  /** What its definition says of its objects; the kinds of the server itself have none here. */
  schema?: Schema
}

const type = (
  groupVersion: string,
  kind: string,
  plural: string,
  options: { cluster?: boolean; status?: boolean; short?: string[] } = {},
): ResourceType => {
  const [group = '', version = ''] = groupVersion.includes('/') ? groupVersion.split('/') : ['', groupVersion]
  return {
    group,
    version,
    plural,
    kind,
    namespaced: !options.cluster,
    shortNames: options.short ?? [],
    status: options.status ?? false,
  }
}

/** What the API server serves before any CustomResourceDefinition: what home repositories hold, and what clients ask for. */
export const builtIn: ResourceType[] = [
  type('v1', 'Namespace', 'namespaces', { cluster: true, status: true, short: ['ns'] }),
  type('v1', 'Node', 'nodes', { cluster: true, status: true, short: ['no'] }),
  type('v1', 'PersistentVolume', 'persistentvolumes', { cluster: true, status: true, short: ['pv'] }),
  type('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims', { status: true, short: ['pvc'] }),
  type('v1', 'Pod', 'pods', { status: true, short: ['po'] }),
  type('v1', 'Service', 'services', { status: true, short: ['svc'] }),
  type('v1', 'Endpoints', 'endpoints', { short: ['ep'] }),
  type('v1', 'ConfigMap', 'configmaps', { short: ['cm'] }),
  type('v1', 'Secret', 'secrets'),
  type('v1', 'ServiceAccount', 'serviceaccounts', { short: ['sa'] }),
  type('v1', 'Event', 'events', { short: ['ev'] }),
  type('v1', 'LimitRange', 'limitranges'),
  type('v1', 'ResourceQuota', 'resourcequotas', { status: true }),
  type('apps/v1', 'Deployment', 'deployments', { status: true, short: ['deploy'] }),
  type('apps/v1', 'StatefulSet', 'statefulsets', { status: true, short: ['sts'] }),
  type('apps/v1', 'DaemonSet', 'daemonsets', { status: true, short: ['ds'] }),
  type('apps/v1', 'ReplicaSet', 'replicasets', { status: true, short: ['rs'] }),
  type('batch/v1', 'Job', 'jobs', { status: true }),
  type('batch/v1', 'CronJob', 'cronjobs', { status: true, short: ['cj'] }),
  type('networking.k8s.io/v1', 'Ingress', 'ingresses', { status: true, short: ['ing'] }),
  type('networking.k8s.io/v1', 'IngressClass', 'ingressclasses', { cluster: true }),
  type('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies', { short: ['netpol'] }),
  type('storage.k8s.io/v1', 'StorageClass', 'storageclasses', { cluster: true, short: ['sc'] }),
  type('storage.k8s.io/v1', 'CSIDriver', 'csidrivers', { cluster: true }),
  type('storage.k8s.io/v1', 'CSINode', 'csinodes', { cluster: true }),
  type('storage.k8s.io/v1', 'VolumeAttachment', 'volumeattachments', { cluster: true, status: true }),
  type('rbac.authorization.k8s.io/v1', 'ClusterRole', 'clusterroles', { cluster: true }),
  type('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'clusterrolebindings', { cluster: true }),
  type('rbac.authorization.k8s.io/v1', 'Role', 'roles'),
  type('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings'),
  type('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets', { status: true, short: ['pdb'] }),
  type('autoscaling/v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', {
    status: true,
    short: ['hpa'],
  }),
  type('scheduling.k8s.io/v1', 'PriorityClass', 'priorityclasses', { cluster: true, short: ['pc'] }),
  type('coordination.k8s.io/v1', 'Lease', 'leases'),
  type('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', {
    cluster: true,
  }),
  type(
    'admissionregistration.k8s.io/v1',
    'ValidatingWebhookConfiguration',
    'validatingwebhookconfigurations',
    {
      cluster: true,
    },
  ),
  type('apiregistration.k8s.io/v1', 'APIService', 'apiservices', { cluster: true, status: true }),
  type('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'customresourcedefinitions', {
    cluster: true,
    status: true,
    short: ['crd', 'crds'],
  }),
]

interface Definition {
  group: string
  scope: string
  names: { plural: string; kind: string; shortNames?: string[] }
  versions: {
    name: string
    served?: boolean
    subresources?: { status?: object }
    schema?: { openAPIV3Schema?: Schema }
  }[]
}

/** The kinds that a CustomResourceDefinition brings, one for each version that it serves. */
export function definedBy(crd: KubernetesObject): ResourceType[] {
  const spec = crd.spec as Definition
  return spec.versions
    .filter(v => v.served !== false)
    .map(v => ({
      group: spec.group,
      version: v.name,
      plural: spec.names.plural,
      kind: spec.names.kind,
      namespaced: spec.scope === 'Namespaced',
      shortNames: spec.names.shortNames ?? [],
      status: v.subresources?.status !== undefined,
      ...(v.schema?.openAPIV3Schema ? { schema: v.schema.openAPIV3Schema } : {}),
    }))
}

// Kinds that hold something else than `spec` and `status` beside what all have.
const fieldsOf: Record<string, string[]> = {
  ConfigMap: ['data', 'binaryData', 'immutable'],
  Secret: ['data', 'stringData', 'type', 'immutable'],
  ServiceAccount: ['secrets', 'imagePullSecrets', 'automountServiceAccountToken'],
}

/** The fields that a kind of the server's own can have; undefined where the lab does not know. */
export function topLevelOf({ kind, group, schema }: ResourceType): string[] | undefined {
  const own = group === '' && !schema ? fieldsOf[kind] : undefined
  return own && ['apiVersion', 'kind', 'metadata', ...own]
}

/** `v1` or `apps/v1`. */
export function groupVersionOf(t: ResourceType): string {
  return t.group === '' ? t.version : `${t.group}/${t.version}`
}
