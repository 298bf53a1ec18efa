import type { Nodes } from '../../nodes/nodes.ts'
import type { MachinesSeam, NasSeam } from '../../seams.ts'
import type { World } from '../../world.ts'
import type { ObjectStore } from '../store.ts'
import type { Ref, Stored } from '../stored.ts'
import { now } from '../time.ts'

/** What the controllers work with. Each is a function that makes a little of what is wanted true, and is called again. */
export interface Controlled {
  store: ObjectStore
  world: World
  machines: MachinesSeam
  nas: NasSeam
  nodes: Nodes
}

export type Controller = (controlled: Controlled) => void

/** The value at a path, or undefined; objects here are whatever a client sent. */
export function dig<T = unknown>(value: unknown, ...path: (string | number)[]): T | undefined {
  let here = value
  for (const key of path) here = (here as Record<string | number, unknown> | null | undefined)?.[key]
  return here as T | undefined
}

/** The list at a path, empty where there is none. */
export function digList(value: unknown, ...path: (string | number)[]): Record<string, unknown>[] {
  const found = dig(value, ...path)
  return Array.isArray(found) ? (found as Record<string, unknown>[]) : []
}

/** Names an object that was read from the store. */
export function refOf(store: ObjectStore, object: Stored): Ref {
  return {
    // Two groups may have a kind of the same name.
    resource: store.type(object.apiVersion, object.kind) ?? store.kind(object.kind),
    namespace: object.metadata.namespace as string | undefined,
    name: object.metadata.name,
  }
}

/** Every workload's pods, by the uid of their owner. */
export function podsOf(store: ObjectStore, owner: Stored): Stored[] {
  return store
    .all('Pod', owner.metadata.namespace as string)
    .filter(pod => pod.metadata.ownerReferences?.some(o => o.uid === owner.metadata.uid))
}

/** Whether a pod says that it is Ready. */
export function isReady(pod: Stored): boolean {
  return digList(pod, 'status', 'conditions').some(c => c.type === 'Ready' && c.status === 'True')
}

/** Whether a workload of this name part runs with at least one ready pod, in any namespace. */
export function runs(store: ObjectStore, name: RegExp): boolean {
  return (['Deployment', 'StatefulSet', 'DaemonSet'] as const).some(kind =>
    store.all(kind).some(w => name.test(w.metadata.name) && podsOf(store, w).some(isReady)),
  )
}

/** A condition list with one condition set; the time of its last change stays when nothing changed. */
export function withCondition(
  conditions: Record<string, unknown>[],
  type: string,
  status: boolean,
  reason: string,
  message = '',
): Record<string, unknown>[] {
  const there = conditions.find(c => c.type === type)
  const wanted = status ? 'True' : 'False'
  if (there && there.status === wanted && there.reason === reason && there.message === message)
    return conditions
  const condition = {
    type,
    status: wanted,
    reason,
    message,
    lastTransitionTime: now(),
  }
  return [...conditions.filter(c => c.type !== type), condition]
}
