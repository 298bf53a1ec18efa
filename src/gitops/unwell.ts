import {
  type KubernetesObject,
  type KubernetesReader,
  type ObjectRef,
  refOf,
  showRef,
} from '../kubernetes/kubernetes.ts'

/** An object that is not as it should be, and its own words for it. */
export interface Unwell {
  object: string
  why: string
}

/** As many as a person reads; more mostly have the same cause. */
const enough = 4

/**
 * Looks for the cause among live objects: which of them are not ready, and what their pods, conditions and events say.
 * Argo CD does not keep the health of each object in the Application's status.
 */
export async function unwellObjects(kubernetes: KubernetesReader, objects: ObjectRef[]): Promise<Unwell[]> {
  const found: Unwell[] = []
  for (const ref of objects) {
    if (found.length >= enough) break
    const live = await kubernetes.get(ref)
    const why = live ? await complaintOf(kubernetes, live) : 'it is not there'
    if (why !== undefined) found.push({ object: showRef(ref), why })
  }
  return found
}

/** What is wrong with one object; undefined when nothing is known to be. */
async function complaintOf(
  kubernetes: KubernetesReader,
  live: KubernetesObject,
): Promise<string | undefined> {
  switch (live.kind) {
    case 'Deployment':
    case 'StatefulSet':
    case 'ReplicaSet':
    case 'DaemonSet':
      return unready(live) ? await ofPods(kubernetes, live) : undefined
    case 'Job':
      if (condition(live, 'Complete')?.status === 'True') return undefined
      return (await ofPods(kubernetes, live)) ?? said(condition(live, 'Failed')) ?? 'it has not ended'
    case 'Pod':
      return podComplaint(live) ?? (await event(kubernetes, live))
    case 'PersistentVolumeClaim': {
      const phase = field(live, 'status', 'phase')
      if (phase === 'Bound') return undefined
      return `it is ${phase ?? 'not bound'}${colon(await event(kubernetes, live))}`
    }
    case 'Service':
      return field(live, 'spec', 'type') === 'LoadBalancer' &&
        !field(live, 'status', 'loadBalancer', 'ingress')
        ? `it has no address${colon(await event(kubernetes, live))}`
        : undefined
    default: {
      const no = ['Ready', 'Available', 'Healthy', 'Synced']
        .map(type => condition(live, type))
        .find(c => c !== undefined && c.status !== 'True')
      return said(no)
    }
  }
}

function unready(live: KubernetesObject): boolean {
  const number = (...path: string[]) => Number(field(live, ...path) ?? 0)
  if (live.kind === 'DaemonSet')
    return number('status', 'numberReady') < number('status', 'desiredNumberScheduled')
  return number('status', 'readyReplicas') < Number(field(live, 'spec', 'replicas') ?? 1)
}

async function ofPods(kubernetes: KubernetesReader, owner: KubernetesObject): Promise<string> {
  const wanted = Object.entries((field(owner, 'spec', 'selector', 'matchLabels') ?? {}) as object)
  const { namespace } = owner.metadata
  const pods = await kubernetes.list({
    apiVersion: 'v1',
    kind: 'Pod',
    ...(namespace === undefined ? {} : { namespace }),
  })
  const own = pods.filter(
    pod =>
      list(pod.metadata.ownerReferences).some(o => o.uid === owner.metadata.uid) ||
      (wanted.length > 0 && wanted.every(([k, v]) => pod.metadata.labels?.[k] === v)),
  )
  for (const pod of own) {
    const why = podComplaint(pod) ?? (ready(pod) ? undefined : await event(kubernetes, pod))
    if (why !== undefined) return `pod ${pod.metadata.name}: ${why}`
  }
  if (own.length === 0) {
    const why = said(condition(owner, 'ReplicaFailure')) ?? (await event(kubernetes, owner))
    return `it has no pods${colon(why)}`
  }
  return (
    said(condition(owner, 'Progressing')) ?? `${own.filter(ready).length} of ${own.length} pods are ready`
  )
}

/** What keeps a pod from being ready, in the words of the kubelet or the scheduler. */
function podComplaint(pod: KubernetesObject): string | undefined {
  if (ready(pod) || field(pod, 'status', 'phase') === 'Succeeded') return undefined
  const containers = ['initContainerStatuses', 'containerStatuses'].flatMap(name =>
    list(field(pod, 'status', name)),
  )
  for (const container of containers) {
    const waiting = field(container, 'state', 'waiting') as { reason?: string; message?: string } | undefined
    // What every pod goes through; the cause is among its events then.
    if (waiting?.reason && !['ContainerCreating', 'PodInitializing'].includes(waiting.reason)) {
      const exit = field(container, 'lastState', 'terminated', 'exitCode')
      return `${waiting.reason}${colon(waiting.message)}${exit === undefined ? '' : `, it ended with ${exit} before`}`
    }
    const ended = field(container, 'state', 'terminated') as
      | { exitCode?: number; reason?: string; message?: string }
      | undefined
    if (ended && ended.exitCode !== 0)
      return `${ended.reason ?? 'it ended'} with exit code ${ended.exitCode}${colon(ended.message?.trim())}`
  }
  const scheduled = condition(pod, 'PodScheduled')
  if (scheduled?.status === 'False') return said(scheduled)
  return undefined
}

/** The newest warning about an object. */
async function event(kubernetes: KubernetesReader, about: KubernetesObject): Promise<string | undefined> {
  const { namespace, name } = refOf(about)
  const events = await kubernetes.list({
    apiVersion: 'v1',
    kind: 'Event',
    ...(namespace === undefined ? {} : { namespace }),
  })
  const newest = events
    .filter(
      e =>
        e.type === 'Warning' &&
        field(e, 'involvedObject', 'kind') === about.kind &&
        field(e, 'involvedObject', 'name') === name,
    )
    .sort((a, b) => String(a.lastTimestamp ?? '').localeCompare(String(b.lastTimestamp ?? '')))
    .at(-1)
  return newest && `${newest.reason}: ${String(newest.message).trim()}`
}

function ready(pod: KubernetesObject): boolean {
  return condition(pod, 'Ready')?.status === 'True'
}

interface Condition {
  type: string
  status: string
  reason?: string
  message?: string
}

function condition(object: KubernetesObject, type: string): Condition | undefined {
  return (list(field(object, 'status', 'conditions')) as unknown as Condition[]).find(c => c.type === type)
}

function said(condition: Condition | undefined): string | undefined {
  if (!condition) return undefined
  return condition.message || condition.reason || `its condition ${condition.type} is ${condition.status}`
}

function colon(text: string | undefined): string {
  return text ? `: ${text}` : ''
}

function field(value: unknown, ...path: string[]): unknown {
  let here = value
  for (const key of path) here = (here as Record<string, unknown> | null | undefined)?.[key]
  return here
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? (value as Record<string, unknown>[]) : []
}
