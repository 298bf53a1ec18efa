import type { KubernetesObject, KubernetesReader } from './kubernetes.ts'

interface PodStatus {
  phase?: string
  conditions?: { type: string; status: string; reason?: string; message?: string }[]
  initContainerStatuses?: ContainerStatus[]
  containerStatuses?: ContainerStatus[]
}

interface ContainerStatus {
  name?: string
  ready?: boolean
  state?: {
    waiting?: { reason?: string; message?: string }
    terminated?: { reason?: string; exitCode?: number }
  }
}

/** The pods that a workload made, by its selector. */
export async function podsOf(
  kubernetes: KubernetesReader,
  workload: KubernetesObject,
): Promise<KubernetesObject[]> {
  const { selector } = (workload.spec ?? {}) as { selector?: { matchLabels?: Record<string, string> } }
  const labels = Object.entries(selector?.matchLabels ?? {})
  if (labels.length === 0) return []
  const pods = await kubernetes.list({
    apiVersion: 'v1',
    kind: 'Pod',
    namespace: workload.metadata.namespace ?? 'default',
  })
  return pods.filter(pod => labels.every(([key, value]) => pod.metadata.labels?.[key] === value))
}

/** What keeps a workload's pods, in the kubelet's and the scheduler's own words; undefined when they say nothing. */
export async function troubleOf(
  kubernetes: KubernetesReader,
  workload: KubernetesObject,
): Promise<string | undefined> {
  for (const pod of await podsOf(kubernetes, workload)) {
    const why = troubleOfPod(pod)
    if (why !== undefined) return `pod ${pod.metadata.name}: ${why}`
  }
  return undefined
}

function troubleOfPod(pod: KubernetesObject): string | undefined {
  const status = (pod.status ?? {}) as PodStatus
  for (const { name, state } of [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
  ]) {
    const { waiting, terminated } = state ?? {}
    // These two only say that it is on its way.
    if (waiting?.reason !== undefined && !['PodInitializing', 'ContainerCreating'].includes(waiting.reason))
      return `${name} waits (${waiting.reason}${waiting.message ? `: ${waiting.message}` : ''})`
    if (terminated && (terminated.exitCode ?? 0) !== 0)
      return `${name} ended with ${terminated.exitCode} (${terminated.reason ?? 'no reason given'})`
  }
  const unmet = status.conditions?.find(c => c.status === 'False' && c.message)
  return unmet && `${unmet.reason ?? unmet.type}: ${unmet.message}`
}

/** The last lines of every container of a workload’s pods, one log after the other; empty where nothing can be read. */
export async function logsOf(
  kubernetes: KubernetesReader,
  workload: KubernetesObject,
  lines = 50,
): Promise<string> {
  const logs: string[] = []
  for (const pod of await podsOf(kubernetes, workload)) {
    const { containers } = (pod.spec ?? {}) as { containers?: { name: string }[] }
    const { namespace = 'default', name = '' } = pod.metadata
    for (const container of containers ?? [])
      logs.push((await kubernetes.log({ namespace, name }, container.name, lines)) ?? '')
  }
  return logs.join('\n')
}
