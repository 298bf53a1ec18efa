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
    terminated?: { reason?: string; exitCode?: number; message?: string }
  }
  lastState?: { terminated?: { exitCode?: number } }
}

/** The pods that a workload made: by its selector, or because they name it as their owner. */
export async function podsOf(
  kubernetes: KubernetesReader,
  workload: KubernetesObject,
): Promise<KubernetesObject[]> {
  const { selector } = (workload.spec ?? {}) as { selector?: { matchLabels?: Record<string, string> } }
  const labels = Object.entries(selector?.matchLabels ?? {})
  const { uid, namespace = 'default' } = workload.metadata
  const pods = await kubernetes.list({ apiVersion: 'v1', kind: 'Pod', namespace })
  return pods.filter(pod => {
    const owners = (pod.metadata.ownerReferences ?? []) as { uid?: string }[]
    return (
      (labels.length > 0 && labels.every(([key, value]) => pod.metadata.labels?.[key] === value)) ||
      (uid !== undefined && owners.some(owner => owner.uid === uid))
    )
  })
}

/** What keeps a workload's pods, in the kubelet's and the scheduler's own words; undefined when they say nothing. */
export async function troubleOf(
  kubernetes: KubernetesReader,
  workload: KubernetesObject,
): Promise<string | undefined> {
  for (const pod of await podsOf(kubernetes, workload)) {
    const why = await troubleOfPod(kubernetes, pod)
    if (why !== undefined) return `pod ${pod.metadata.name}: ${why}`
  }
  return undefined
}

/** What keeps a pod from being ready: its containers, its place, the newest warning about it; undefined when it is ready. */
export async function troubleOfPod(
  kubernetes: KubernetesReader,
  pod: KubernetesObject,
): Promise<string | undefined> {
  const status = (pod.status ?? {}) as PodStatus
  const unmet = status.conditions?.filter(c => c.status === 'False' && c.message) ?? []
  const ready = status.conditions?.some(c => c.type === 'Ready' && c.status === 'True')
  if (ready || status.phase === 'Succeeded') return undefined
  for (const { name, state, lastState } of [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
  ]) {
    const { waiting, terminated } = state ?? {}
    // These two only say that it is on its way; what it lacks is among its events then.
    if (waiting?.reason !== undefined && !['PodInitializing', 'ContainerCreating'].includes(waiting.reason)) {
      const before = lastState?.terminated?.exitCode
      return `${name} waits (${waiting.reason}${colon(waiting.message)})${before === undefined ? '' : `; it ended with ${before} before`}`
    }
    if (terminated && (terminated.exitCode ?? 0) !== 0)
      return `${name} ended with ${terminated.exitCode} (${terminated.reason ?? 'no reason given'}${colon(terminated.message?.trim())})`
  }
  const unplaced = unmet.find(c => c.type === 'PodScheduled')
  const said = (c: (typeof unmet)[number] | undefined) => c && `${c.reason ?? c.type}: ${c.message}`
  return said(unplaced) ?? (await warningAbout(kubernetes, pod)) ?? said(unmet[0])
}

/** The newest warning among the events about an object. */
export async function warningAbout(
  kubernetes: KubernetesReader,
  { kind, metadata }: KubernetesObject,
): Promise<string | undefined> {
  const { name, namespace = 'default' } = metadata
  const events = (await kubernetes.list({ apiVersion: 'v1', kind: 'Event', namespace })) as unknown as {
    type?: string
    reason?: string
    message?: string
    lastTimestamp?: string
    involvedObject?: { kind?: string; name?: string }
  }[]
  const newest = events
    .filter(e => e.type === 'Warning' && e.involvedObject?.kind === kind && e.involvedObject.name === name)
    .sort((a, b) => (a.lastTimestamp ?? '').localeCompare(b.lastTimestamp ?? ''))
    .at(-1)
  return newest && `${newest.reason}${colon(newest.message?.trim())}`
}

function colon(text: string | undefined): string {
  return text ? `: ${text}` : ''
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
