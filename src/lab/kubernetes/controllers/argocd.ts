import type { KubernetesObject } from '../../blueprint.ts'
import { admit } from '../admission.ts'
import type { ResourceType } from '../resources.ts'
import type { ObjectStore } from '../store.ts'
import type { Stored } from '../stored.ts'
import { now } from '../time.ts'
import { healthOf, worst } from './argocd-health.ts'
import { find, groupOf, hookOf, inSync, sameObject, says } from './argocd-objects.ts'
import { begun, type OperationState, proceed } from './argocd-sync.ts'
import { type Controlled, type Controller, dig, refOf, runs } from './context.ts'

const kind = 'Application.argoproj.io'
const tracking = 'argocd.argoproj.io/tracking-id'
const finalizer = 'resources-finalizer.argocd.argoproj.io'
const refresh = 'argocd.argoproj.io/refresh'

/** The application controller: compares Git with what lives, syncs when it may or must, and says how healthy it all is. */
export const argocd: Controller = controlled => {
  const { store } = controlled
  if (!store.has(kind) || !runs(store, /argocd-application-controller/)) return
  for (const application of store.all(kind)) {
    // Alpha, and whole: a new Application that is skipped has no status at all, and its operation is left standing.
    if (application.metadata.annotations?.['argocd.argoproj.io/skip-reconcile'] === 'true') continue
    if (application.metadata.deletionTimestamp) cascade(controlled, application)
    else reconcile(controlled, application)
  }
}

interface Automation {
  enabled?: boolean
  prune?: boolean
  selfHeal?: boolean
}

interface Operation {
  initiatedBy?: object
  retry?: { limit?: number }
  sync?: { dryRun?: boolean; prune?: boolean; revision?: string }
}

function reconcile(controlled: Controlled, application: Stored): void {
  const { store, world } = controlled
  const { name } = application.metadata
  const comparedTo = {
    source: dig(application, 'spec', 'source'),
    destination: dig(application, 'spec', 'destination'),
  }
  const asked = application.metadata.annotations?.[refresh] !== undefined
  const moved =
    JSON.stringify(dig(application, 'status', 'sync', 'comparedTo')) !== JSON.stringify(comparedTo)
  // After an error nothing is rendered again before somebody asks for it, or the Application changes.
  const stuck = dig<{ type: string }[]>(application, 'status', 'conditions')?.some(
    c => c.type === 'ComparisonError',
  )
  if (stuck && !asked && !moved) return
  if (asked)
    store.merge(
      refOf(store, application),
      { metadata: { annotations: { [refresh]: null } } },
      'argocd-application-controller',
    )
  const write = (status: Record<string, unknown>) => {
    const { reconciledAt: _, ...before } = (application.status ?? {}) as Record<string, unknown>
    // The time of the last look changes only with what was seen: nothing would ever come to rest otherwise.
    if (JSON.stringify(before) === JSON.stringify(status)) return
    store.setStatus(refOf(store, application), { ...status, reconciledAt: now() })
  }
  const state = dig<OperationState>(application, 'status', 'operationState')
  const desired = desiredOf(controlled, application)
  if (!desired || world.suffers('application-not-rendered', name)) {
    const path = dig(application, 'spec', 'source', 'path')
    const why = desired ? '`kustomize build` failed exit status 1' : `${path}: app path does not exist`
    write({
      sync: { status: 'Unknown', comparedTo },
      health: { status: 'Healthy' },
      ...(state ? { operationState: state } : {}),
      conditions: [
        {
          type: 'ComparisonError',
          message: `Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = ${why}`,
        },
      ],
    })
    return
  }
  const git = world.suffers('application-hook-fails', name) ? withHook(application, desired) : desired
  const objects = git.filter(o => hookOf(o) === undefined)
  const foreign = world.suffers('application-out-of-sync', name) ? objects[0] : undefined
  const extra = () =>
    tracked(store, application).filter(
      o => hookOf(o) === undefined && !git.some(d => sameObject(store, d, o)),
    )
  const same = (object: KubernetesObject) => object !== foreign && inSync(store, object)
  const differs = () => objects.some(o => !same(o)) || extra().length > 0
  const after = operate(controlled, application, git, { state, moved, differs: differs(), foreign })
  const prune =
    dig<boolean>(application, 'operation', 'sync', 'prune') ??
    dig<boolean>(application, 'spec', 'syncPolicy', 'automated', 'prune')
  if (prune && after?.phase === 'Succeeded' && dig(after.operation, 'sync', 'dryRun') !== true)
    for (const object of extra()) if (!says(object, 'Prune=false')) store.remove(refOf(store, object))
  write({
    sync: { status: differs() ? 'OutOfSync' : 'Synced', revision: 'main', comparedTo },
    health: { status: worst(objects.map(o => healthOf(find(store, o)))) },
    ...(after ? { operationState: after } : {}),
    ...(after?.phase === 'Failed'
      ? {
          conditions: [
            { type: 'SyncError', message: `Failed last sync attempt to [main]: ${after.message}` },
          ],
        }
      : {}),
    resources: git.map(o => ({
      group: groupOf(o),
      version: o.apiVersion.split('/').at(-1),
      kind: o.kind,
      name: o.metadata.name,
      ...(o.metadata.namespace ? { namespace: o.metadata.namespace } : {}),
      ...(hookOf(o) === undefined ? { status: same(o) ? 'Synced' : 'OutOfSync' } : { hook: true }),
    })),
  })
}

/** Begins, goes on with or leaves alone the Application's operation, and says how it stands. */
function operate(
  controlled: Controlled,
  application: Stored,
  git: KubernetesObject[],
  seen: {
    state: OperationState | undefined
    moved: boolean
    differs: boolean
    foreign: KubernetesObject | undefined
  },
): OperationState | undefined {
  const { store } = controlled
  const { state, moved, differs, foreign } = seen
  const operation = dig<Operation>(application, 'operation')
  const policy = dig<{ automated?: Automation; retry?: { limit?: number } }>(
    application,
    'spec',
    'syncPolicy',
  )
  const automated = policy?.automated
  if (operation) store.merge(refOf(store, application), { operation: null }, 'argocd-application-controller')
  if (operation?.sync?.dryRun)
    return {
      ...begun(operation, 0),
      phase: 'Succeeded',
      message: 'successfully synced (no more tasks)',
      finishedAt: now(),
    }
  if (state?.phase === 'Terminating')
    return { ...state, phase: 'Failed', message: 'Operation terminated', finishedAt: now() }
  // A sync that failed for good is not tried again for the same commit and the same Application.
  const byItself =
    automated !== undefined &&
    automated.enabled !== false &&
    differs &&
    (state === undefined || (state.phase === 'Succeeded' ? automated.selfHeal === true : moved))
  const current = operation
    ? begun(operation, operation.retry?.limit ?? 0)
    : state?.phase === 'Running'
      ? state
      : byItself
        ? begun(
            {
              initiatedBy: { automated: true },
              sync: { ...(automated?.prune ? { prune: true } : {}), revision: 'main' },
            },
            policy?.retry?.limit ?? 5,
          )
        : undefined
  if (!current) return state
  let next = proceed(controlled, application, git, current)
  // Set right again and again, with no end: told as after the fifth time.
  if (foreign && !operation && automated?.selfHeal && next.phase === 'Succeeded') {
    const sync = { ...next.operation.sync, autoHealAttemptsCount: 5 }
    next = { ...next, operation: { ...next.operation, sync } }
  }
  // The same words keep the same time, so that a sync that still waits or was just repeated changes nothing.
  const timeless = ({ startedAt: _, finishedAt: __, ...words }: OperationState) => JSON.stringify(words)
  return state && timeless(state) === timeless(next) ? state : next
}

/** What Git holds, and a PreSync hook where it has none: a Job that will fail. */
function withHook(application: Stored, objects: KubernetesObject[]): KubernetesObject[] {
  if (objects.some(o => hookOf(o) === 'PreSync')) return objects
  const { name } = application.metadata
  const namespace = dig<string>(application, 'spec', 'destination', 'namespace') ?? 'default'
  const hook: KubernetesObject = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${name}-before-sync`,
      namespace,
      annotations: {
        'argocd.argoproj.io/hook': 'PreSync',
        [tracking]: `${name}:batch/Job:${namespace}/${name}-before-sync`,
      },
    },
    spec: {
      backoffLimit: 0,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'migrate', image: 'lab/migrate' }] } },
    },
  }
  return [...objects, hook]
}

// What Git renders to changes with the kinds that are known alone, and is asked for at every look.
const rendered = new WeakMap<ResourceType[], Map<string, KubernetesObject[] | undefined>>()

function desiredOf(controlled: Controlled, application: Stored): KubernetesObject[] | undefined {
  const types = controlled.store.resources()
  const known = rendered.get(types) ?? new Map<string, KubernetesObject[] | undefined>()
  rendered.set(types, known)
  const source = JSON.stringify([application.metadata.name, application.spec])
  if (!known.has(source)) known.set(source, render(controlled, application))
  return known.get(source)
}

/** What Git renders to, each object with the namespace it will live in and the mark of its application. */
function render({ store, world }: Controlled, application: Stored): KubernetesObject[] | undefined {
  const path = String(dig(application, 'spec', 'source', 'path') ?? '')
    .replace(/^\.\//, '')
    .replace(/\/$/, '')
  const objects = world.blueprint.repository[path]
  if (!objects) return undefined
  const target = dig<string>(application, 'spec', 'destination', 'namespace') ?? 'default'
  return objects.map(object => {
    const type = store.type(object.apiVersion, object.kind)
    const namespaced = type?.namespaced ?? object.metadata.namespace !== undefined
    const namespace = object.metadata.namespace ?? target
    const { namespace: _, creationTimestamp: __, ...metadata } = object.metadata
    const wanted = {
      ...object,
      metadata: {
        ...metadata,
        ...(namespaced ? { namespace } : {}),
        annotations: {
          ...(object.metadata.annotations as object | undefined),
          [tracking]: `${application.metadata.name}:${groupOf(object)}/${object.kind}:${namespaced ? namespace : ''}/${object.metadata.name}`,
        },
      },
    }
    return type ? admitted(type, wanted) : wanted
  })
}

/** As the server will keep it; what it will refuse is refused at the sync, with its words. */
function admitted(type: ResourceType, object: KubernetesObject): KubernetesObject {
  try {
    return admit(type, object)
  } catch {
    return object
  }
}

function cascade({ store }: Controlled, application: Stored): void {
  const finalizers = application.metadata.finalizers ?? []
  if (finalizers.includes(finalizer))
    for (const object of tracked(store, application))
      if (!says(object, 'Delete=false')) store.remove(refOf(store, object))
  store.merge(
    refOf(store, application),
    { metadata: { finalizers: finalizers.filter(f => f !== finalizer) } },
    'argocd-application-controller',
  )
}

const owned = new WeakMap<ObjectStore, { version: string; byApplication: Map<string, Stored[]> }>()

/** Everything that bears the application's mark. Looked through once for each version of the store. */
function tracked(store: ObjectStore, application: Stored): Stored[] {
  let known = owned.get(store)
  if (known?.version !== store.resourceVersion) {
    known = { version: store.resourceVersion, byApplication: new Map() }
    // A kind that is served in two versions lists its objects twice.
    for (const object of new Set(store.resources().flatMap(resource => store.list(resource)))) {
      const owner = object.metadata.annotations?.[tracking]?.split(':')[0]
      if (owner === undefined) continue
      const others = known.byApplication.get(owner)
      if (others) others.push(object)
      else known.byApplication.set(owner, [object])
    }
    owned.set(store, known)
  }
  return known.byApplication.get(application.metadata.name) ?? []
}
