import type { KubernetesObject } from '../../blueprint.ts'
import type { Stored } from '../stored.ts'
import { now } from '../time.ts'
import { healthOf } from './argocd-health.ts'
import { find, groupOf, hookOf, says, shown, waveOf } from './argocd-objects.ts'
import { type Controlled, dig, digList } from './context.ts'

/** What an operation did with one object. */
interface Result {
  group: string
  version: string
  kind: string
  namespace: string
  name: string
  message: string
  syncPhase: string
  status: 'Synced' | 'SyncFailed'
  hookPhase: 'Running' | 'Succeeded' | 'Failed'
  hookType?: string
}

/** `status.operationState` of an Application. */
export interface OperationState {
  phase: 'Running' | 'Succeeded' | 'Failed' | 'Error' | 'Terminating'
  message: string
  startedAt: string
  finishedAt?: string
  retryCount?: number
  operation: { sync: { revision: string; autoHealAttemptsCount?: number }; [key: string]: unknown }
  syncResult: { revision: string; resources: Result[] }
}

/** An operation that has just begun. */
export function begun(operation: object, retries: number): OperationState {
  return {
    phase: 'Running',
    message: '',
    startedAt: now(),
    operation: {
      ...operation,
      retry: { limit: retries },
      sync: { revision: 'main', ...dig<object>(operation, 'sync') },
    },
    syncResult: { revision: 'main', resources: [] },
  }
}

/** As far as an operation gets now: PreSync hooks, then wave after wave, then PostSync hooks. */
export function proceed(
  controlled: Controlled,
  application: Stored,
  desired: KubernetesObject[],
  state: OperationState,
): OperationState {
  const results: Result[] = []
  const end = carryOut(controlled, application, desired, state, results)
  const resources = results.length > 0 ? results : state.syncResult.resources
  const known = { ...state, syncResult: { revision: 'main', resources } }
  if (end.phase !== 'Failed') {
    const { finishedAt: _, ...running } = known
    const over = end.phase === 'Succeeded' ? { finishedAt: now() } : {}
    return { ...running, ...end, ...over }
  }
  const limit = dig<number>(state.operation, 'retry', 'limit') ?? 0
  const retries = state.retryCount ?? 0
  const again = end.hook ? retries < limit : limit > 0
  if (!again)
    return {
      ...known,
      phase: 'Failed',
      message: `${end.message}${retries > 0 ? ` (retried ${retries} times).` : ''}`,
      finishedAt: now(),
    }
  // The lab's time is not Argo CD's: what fails for want of something else is tried whenever anything changes, and is not
  // given up. A hook is run anew until its attempts are used up.
  const retryCount = end.hook ? retries + 1 : 1
  return {
    ...known,
    message: `${end.message}. Retrying attempt #${retryCount} at ${new Date(state.startedAt).toISOString().slice(11, 16)}.`,
    retryCount,
    finishedAt: state.finishedAt ?? now(),
    ...(end.hook ? { syncResult: { revision: 'main', resources: [] } } : {}),
  }
}

interface End {
  phase: 'Running' | 'Succeeded' | 'Failed'
  message: string
  hook?: true
}

function carryOut(
  controlled: Controlled,
  application: Stored,
  desired: KubernetesObject[],
  state: OperationState,
  results: Result[],
): End {
  const { store } = controlled
  const target = dig<string>(application, 'spec', 'destination', 'namespace') ?? 'default'
  const options = dig<string[]>(application, 'spec', 'syncPolicy', 'syncOptions') ?? []
  const namespaces = store.kind('Namespace')
  if (options.includes('CreateNamespace=true') && !store.find({ resource: namespaces, name: target }))
    store.create(
      namespaces,
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: target } },
      'argocd-application-controller',
    )
  // Every task is tried dry before the first is carried out: a kind that nobody defines stops all of them.
  for (const object of desired)
    if (!store.type(object.apiVersion, object.kind) && !says(object, 'SkipDryRunOnMissingResource=true'))
      if (!desired.some(d => defines(d, object))) {
        results.push({ ...resultOf(object, 'Sync', missingKind(object)), status: 'SyncFailed' })
        return {
          phase: 'Failed',
          message: `one or more synchronization tasks are not valid: failed to discover server resources for group version ${object.apiVersion}: the server could not find the requested resource`,
        }
      }
  return (
    runHooks(controlled, desired, 'PreSync', state, results) ??
    applyWaves(
      controlled,
      desired.filter(o => hookOf(o) === undefined),
      results,
    ) ??
    runHooks(controlled, desired, 'PostSync', state, results) ?? {
      phase: 'Succeeded',
      message: 'successfully synced (all tasks run)',
    }
  )
}

function applyWaves({ store }: Controlled, objects: KubernetesObject[], results: Result[]): End | undefined {
  const waves = new Map<number, KubernetesObject[]>()
  for (const object of objects) waves.set(waveOf(object), [...(waves.get(waveOf(object)) ?? []), object])
  for (const wave of [...waves.keys()].sort((a, b) => a - b)) {
    const ranked = (waves.get(wave) ?? []).sort((a, b) => rank(a.kind) - rank(b.kind))
    const refused: string[] = []
    for (const object of ranked) {
      const resource = store.type(object.apiVersion, object.kind)
      try {
        if (!resource) throw new Error(missingKind(object))
        const namespace = object.metadata.namespace
        if (namespace !== undefined) store.mustHaveNamespace(namespace)
        const name = String(object.metadata.name)
        store.apply({ resource, namespace, name }, object, 'argocd-controller', { force: true })
        results.push(resultOf(object, 'Sync', `${object.kind.toLowerCase()}/${name} serverside-applied`))
      } catch (error) {
        const { message } = error as Error
        refused.push(message)
        results.push({ ...resultOf(object, 'Sync', message), status: 'SyncFailed', hookPhase: 'Failed' })
      }
    }
    if (refused.length > 0)
      return { phase: 'Failed', message: `one or more objects failed to apply, reason: ${refused.join(',')}` }
    const waiting = ranked.filter(o => healthOf(find(store, o)) !== 'Healthy')
    if (waiting.length > 0 && wave !== Math.max(...waves.keys()))
      return {
        phase: 'Running',
        message: `waiting for healthy state of ${shown(waiting[0]!)}${waiting.length > 1 ? ` and ${waiting.length - 1} more resources` : ''}`,
      }
  }
  return undefined
}

/** Runs the hooks of one kind; made anew with each attempt, as their default deletion policy says. */
function runHooks(
  { store }: Controlled,
  desired: KubernetesObject[],
  type: string,
  state: OperationState,
  results: Result[],
): End | undefined {
  let running: KubernetesObject | undefined
  for (const hook of desired.filter(o => hookOf(o) === type)) {
    const name = String(hook.metadata.name)
    const { namespace } = hook.metadata
    const before = state.syncResult.resources.find(r => r.hookType === type && r.name === name)
    const result: Result = { ...resultOf(hook, type, ''), hookType: type }
    results.push(result)
    const resource = store.type(hook.apiVersion, hook.kind)
    if (!resource) continue
    const ref = { resource, namespace, name }
    if (!before) {
      if (store.find(ref)) store.remove(ref)
      store.apply(ref, hook, 'argocd-controller', { force: true })
      result.message = `${hook.kind.toLowerCase()}.${groupOf(hook)}/${name} serverside-applied`
      running ??= hook
      continue
    }
    const live = find(store, hook)
    const health = healthOf(live)
    if (health === 'Degraded') {
      const failed = digList(live, 'status', 'conditions').find(c => c.type === 'Failed')
      Object.assign(result, { hookPhase: 'Failed', message: String(failed?.message ?? '') })
      return {
        phase: 'Failed',
        message: 'one or more synchronization tasks completed unsuccessfully',
        hook: true,
      }
    }
    if (health === 'Healthy') result.hookPhase = 'Succeeded'
    else running ??= hook
    result.message = before.message
  }
  return running && { phase: 'Running', message: `waiting for completion of hook ${shown(running)}` }
}

function resultOf(object: KubernetesObject, syncPhase: string, message: string): Result {
  return {
    group: groupOf(object),
    version: object.apiVersion.split('/').at(-1) ?? '',
    kind: object.kind,
    namespace: object.metadata.namespace ?? '',
    name: String(object.metadata.name),
    message,
    syncPhase,
    status: 'Synced',
    hookPhase: 'Running',
  }
}

const order = [
  'Namespace',
  'CustomResourceDefinition',
  'StorageClass',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'Secret',
]

function rank(kind: string): number {
  const found = order.indexOf(kind)
  return found === -1 ? order.length : found
}

function defines(definition: KubernetesObject, object: KubernetesObject): boolean {
  return (
    definition.kind === 'CustomResourceDefinition' &&
    dig(definition, 'spec', 'names', 'kind') === object.kind &&
    dig(definition, 'spec', 'group') === object.apiVersion.split('/')[0]
  )
}

function missingKind({ apiVersion, kind, metadata }: KubernetesObject): string {
  return `The Kubernetes API could not find ${apiVersion.replace(/\/v[^/]*$/, '')}/${kind} for requested resource ${metadata.namespace ?? ''}/${metadata.name}. Make sure the "${kind}" CRD is installed on the destination cluster.`
}
