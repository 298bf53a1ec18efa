import type { ResourceType } from './resources.ts'
import type { Stored } from './stored.ts'
import { now } from './time.ts'

/** What goes only when nothing is left in it; its controller says when that is. */
function isNamespace({ group, kind }: ResourceType): boolean {
  return group === '' && kind === 'Namespace'
}

/** Seconds that a pod with a node has to end; others, and those that ended, have none. */
function graceOf(resource: ResourceType, object: Stored, wanted: number | 'own'): number {
  const { nodeName, terminationGracePeriodSeconds = 30 } = (object.spec ?? {}) as {
    nodeName?: string
    terminationGracePeriodSeconds?: number
  }
  const { phase, nodeName: placed } = (object.status ?? {}) as { phase?: string; nodeName?: string }
  if (resource.kind !== 'Pod' || resource.group !== '') return 0
  if ((nodeName ?? placed) === undefined || phase === 'Succeeded' || phase === 'Failed') return 0
  return wanted === 'own' ? terminationGracePeriodSeconds : wanted
}

/** What a request to delete makes of an object that does not go at once; undefined where nothing keeps it. */
export function marked(resource: ResourceType, there: Stored, wanted: number | 'own'): Stored | undefined {
  const next = structuredClone(there)
  const grace = graceOf(resource, there, wanted)
  if (isNamespace(resource)) {
    next.metadata.deletionTimestamp ??= now()
    next.status = { phase: 'Terminating' }
  } else if (grace > 0) {
    // Who asks a second time can only shorten it.
    if ((there.metadata.deletionGracePeriodSeconds ?? Number.POSITIVE_INFINITY) <= grace) return there
    next.metadata.deletionTimestamp = now(grace)
    next.metadata.deletionGracePeriodSeconds = grace
  } else if ((there.metadata.finalizers ?? []).length > 0) {
    next.metadata.deletionTimestamp ??= now()
    next.metadata.deletionGracePeriodSeconds = 0
  } else return undefined
  return next
}

/** Whether an object that is marked for deletion stays for now. */
export function isKept(resource: ResourceType, { metadata }: Stored): boolean {
  return (
    (metadata.finalizers ?? []).length > 0 ||
    isNamespace(resource) ||
    (metadata.deletionGracePeriodSeconds ?? 0) > 0
  )
}
