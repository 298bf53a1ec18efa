import type { KubernetesObject } from './kubernetes.ts'

/** Where Cilium is to find the API server, which it must without any Service: it is what makes Services work. */
export interface ApiHost {
  host: string
  object: KubernetesObject
}

type Containers = { env?: { name: string; value?: string }[] | null }[] | null

interface Pod {
  containers?: Containers
  initContainers?: Containers
}

/** Every address of the API server (the chart’s k8sServiceHost) that Cilium’s workloads are given, each once. */
export function ciliumApiHosts(objects: readonly KubernetesObject[]): ApiHost[] {
  const found = new Map<string, ApiHost>()
  for (const object of objects.filter(isCilium)) {
    const { template } = (object.spec ?? {}) as { template?: { spec?: Pod } }
    const { containers, initContainers } = template?.spec ?? {}
    for (const { env } of [...(containers ?? []), ...(initContainers ?? [])])
      for (const { name, value } of env ?? [])
        if (name === 'KUBERNETES_SERVICE_HOST' && value && !found.has(value))
          found.set(value, { host: value, object })
  }
  return [...found.values()]
}

/** Whether Cilium is to do kube-proxy’s work. */
export function replacesKubeProxy(objects: readonly KubernetesObject[]): boolean {
  const data = dataOf(objects, 'cilium-config')
  return ['true', 'strict'].includes(data?.['kube-proxy-replacement'] ?? '')
}

/** Whether nobody can log in to Argo CD but by what runs in the cluster. */
export function adminIsOff(objects: readonly KubernetesObject[]): boolean {
  return dataOf(objects, 'argocd-cm')?.['admin.enabled'] === 'false'
}

/** Cilium’s DaemonSet and its operator, whatever a chart’s prefix makes of their names. */
function isCilium({ kind, metadata }: KubernetesObject): boolean {
  return ['DaemonSet', 'Deployment'].includes(kind) && /^cilium(-operator)?$/.test(metadata.name ?? '')
}

function dataOf(objects: readonly KubernetesObject[], name: string): Record<string, string> | undefined {
  const map = objects.find(o => o.kind === 'ConfigMap' && o.metadata.name === name)
  return map?.data as Record<string, string> | undefined
}
