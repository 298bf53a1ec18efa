import {
  type KubernetesObject,
  type KubernetesReader,
  type ObjectRef,
  showRef,
} from '../kubernetes/kubernetes.ts'
import { podsOf, troubleOf, troubleOfPod, warningAbout } from '../kubernetes/pods.ts'

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
      return troubleOfPod(kubernetes, live)
    case 'PersistentVolumeClaim': {
      const phase = field(live, 'status', 'phase')
      if (phase === 'Bound') return undefined
      return `it is ${phase ?? 'not bound'}${colon(await warningAbout(kubernetes, live))}`
    }
    case 'Service':
      return field(live, 'spec', 'type') === 'LoadBalancer' &&
        !field(live, 'status', 'loadBalancer', 'ingress')
        ? `it has no address${colon(await warningAbout(kubernetes, live))}`
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
  const trouble = await troubleOf(kubernetes, owner)
  if (trouble !== undefined) return trouble
  const pods = await podsOf(kubernetes, owner)
  if (pods.length > 0)
    return (
      said(condition(owner, 'Progressing')) ?? `${pods.filter(ready).length} of ${pods.length} pods are ready`
    )
  const why = said(condition(owner, 'ReplicaFailure')) ?? (await warningAbout(kubernetes, owner))
  return `it has no pods${colon(why)}`
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
