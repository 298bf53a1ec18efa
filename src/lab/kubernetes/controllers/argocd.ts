import type { KubernetesObject } from '../../blueprint.ts'
import { admit } from '../admission.ts'
import { mergeApplied } from '../fields.ts'
import { groupVersionOf, type ResourceType } from '../resources.ts'
import type { ObjectStore, Stored } from '../store.ts'
import { type Controlled, type Controller, dig, digList, refOf, runs } from './context.ts'

const kind = 'Application.argoproj.io'
const tracking = 'argocd.argoproj.io/tracking-id'
const finalizer = 'resources-finalizer.argocd.argoproj.io'

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

interface Operation {
  sync?: { dryRun?: boolean; prune?: boolean; revision?: string }
}

function reconcile(controlled: Controlled, application: Stored): void {
  const { store } = controlled
  const desired = desiredOf(controlled, application)
  const write = (status: Record<string, unknown>) => {
    const { reconciledAt: _, ...before } = (application.status ?? {}) as Record<string, unknown>
    // The time of the last look changes only with what was seen: nothing would ever come to rest otherwise.
    if (JSON.stringify(before) === JSON.stringify(status)) return
    store.setStatus(refOf(store, application), { ...status, reconciledAt: now() })
  }
  if (!desired) {
    write({
      sync: { status: 'Unknown' },
      health: { status: 'Healthy' },
      conditions: [
        {
          type: 'ComparisonError',
          message: `Failed to load target state: app path does not exist: ${dig(application, 'spec', 'source', 'path')}`,
        },
      ],
    })
    return
  }
  const operation = dig<Operation>(application, 'operation')
  const automated = dig<{ enabled?: boolean; prune?: boolean; selfHeal?: boolean }>(
    application,
    'spec',
    'syncPolicy',
    'automated',
  )
  const prune = operation?.sync?.prune ?? automated?.prune
  const extra = () => tracked(store, application).filter(o => !desired.some(d => sameObject(store, d, o)))
  const differs = () => desired.some(o => !inSync(store, o)) || extra().length > 0
  let state = dig<Record<string, unknown>>(application, 'status', 'operationState')
  const syncedBefore = state?.phase === 'Succeeded'
  const byItself =
    automated !== undefined &&
    automated.enabled !== false &&
    differs() &&
    (!syncedBefore || automated.selfHeal === true)
  const pretends = operation?.sync?.dryRun === true
  if (pretends) {
    state = ended('Succeeded', 'successfully synced (no more tasks)')
  } else if (operation || byItself || state?.phase === 'Running') {
    const end = sync(controlled, application, desired)
    // The same words keep the same time, so that a sync that still waits changes nothing.
    state = state?.phase === end.phase && state?.message === end.message ? state : end
  }
  if (operation) store.merge(refOf(store, application), { operation: null }, 'argocd-application-controller')
  if (prune && !pretends && state?.phase === 'Succeeded')
    for (const object of extra()) if (!says(object, 'Prune=false')) store.remove(refOf(store, object))
  const health = worst(desired.map(o => healthOf(find(store, o))))
  write({
    sync: { status: differs() ? 'OutOfSync' : 'Synced', revision: 'main' },
    health: { status: health },
    ...(state ? { operationState: state } : {}),
    resources: desired.map(o => ({
      group: o.apiVersion.includes('/') ? o.apiVersion.split('/')[0] : '',
      version: o.apiVersion.split('/').at(-1),
      kind: o.kind,
      name: o.metadata.name,
      ...(o.metadata.namespace ? { namespace: o.metadata.namespace } : {}),
      status: inSync(store, o) ? 'Synced' : 'OutOfSync',
    })),
  })
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
    const group = object.apiVersion.includes('/') ? object.apiVersion.split('/')[0] : ''
    const { namespace: _, creationTimestamp: __, ...metadata } = object.metadata
    const wanted = {
      ...object,
      metadata: {
        ...metadata,
        ...(namespaced ? { namespace } : {}),
        annotations: {
          ...(object.metadata.annotations as object | undefined),
          [tracking]: `${application.metadata.name}:${group}/${object.kind}:${namespaced ? namespace : ''}/${object.metadata.name}`,
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

function sync(
  { store }: Controlled,
  application: Stored,
  desired: KubernetesObject[],
): Record<string, unknown> {
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
      if (!desired.some(d => defines(d, object))) return ended('Failed', missingKind(object))
  const waves = new Map<number, KubernetesObject[]>()
  for (const object of desired) waves.set(waveOf(object), [...(waves.get(waveOf(object)) ?? []), object])
  for (const wave of [...waves.keys()].sort((a, b) => a - b)) {
    const objects = (waves.get(wave) ?? []).sort((a, b) => rank(a.kind) - rank(b.kind))
    for (const object of objects)
      try {
        const resource = store.type(object.apiVersion, object.kind)
        if (!resource) return ended('Failed', missingKind(object))
        const namespace = object.metadata.namespace
        if (namespace !== undefined) store.mustHaveNamespace(namespace)
        store.apply(
          { resource, namespace, name: String(object.metadata.name) },
          object,
          'argocd-controller',
          {
            force: true,
          },
        )
      } catch (error) {
        return ended('Failed', (error as Error).message)
      }
    if (worst(objects.map(o => healthOf(find(store, o)))) !== 'Healthy' && wave !== Math.max(...waves.keys()))
      return { ...ended('Running', `waiting for healthy state of wave ${wave}`), finishedAt: undefined }
  }
  return ended('Succeeded', 'successfully synced (all tasks run)')
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

function says(object: KubernetesObject, option: string): boolean {
  const options = dig<string>(object, 'metadata', 'annotations', 'argocd.argoproj.io/sync-options') ?? ''
  return options.split(',').some(o => o.trim() === option)
}

function defines(definition: KubernetesObject, object: KubernetesObject): boolean {
  return (
    definition.kind === 'CustomResourceDefinition' &&
    dig(definition, 'spec', 'names', 'kind') === object.kind &&
    dig(definition, 'spec', 'group') === object.apiVersion.split('/')[0]
  )
}

function missingKind({ apiVersion, kind, metadata }: KubernetesObject): string {
  return `The Kubernetes API could not find ${apiVersion}/${kind} for requested resource ${metadata.namespace ?? ''}/${metadata.name}. Make sure the "${kind}" CRD is installed on the destination cluster.`
}

function sameObject(store: ObjectStore, desired: KubernetesObject, live: Stored): boolean {
  const type = store.type(desired.apiVersion, desired.kind)
  return (
    type !== undefined &&
    groupVersionOf(type) === desired.apiVersion &&
    live.kind === desired.kind &&
    live.metadata.name === desired.metadata.name &&
    live.metadata.namespace === desired.metadata.namespace
  )
}

function find(store: ObjectStore, desired: KubernetesObject): Stored | undefined {
  const resource = store.type(desired.apiVersion, desired.kind)
  return (
    resource &&
    store.find({ resource, namespace: desired.metadata.namespace, name: String(desired.metadata.name) })
  )
}

// What is kept is never changed in place: the same two objects compare the same.
const compared = new WeakMap<KubernetesObject, { live: Stored; same: boolean }>()

function inSync(store: ObjectStore, desired: KubernetesObject): boolean {
  const live = find(store, desired)
  if (!live) return false
  const before = compared.get(desired)
  if (before?.live === live) return before.same
  const { status: _, ...wanted } = desired
  const same = JSON.stringify(mergeApplied(live, wanted)) === JSON.stringify(live)
  compared.set(desired, { live, same })
  return same
}

function waveOf(object: KubernetesObject): number {
  return Number(dig(object, 'metadata', 'annotations', 'argocd.argoproj.io/sync-wave') ?? 0)
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

type Health = 'Healthy' | 'Suspended' | 'Progressing' | 'Missing' | 'Degraded' | 'Unknown'
const severity: Health[] = ['Healthy', 'Suspended', 'Progressing', 'Missing', 'Degraded', 'Unknown']

function worst(found: Health[]): Health {
  return found.reduce<Health>((a, b) => (severity.indexOf(b) > severity.indexOf(a) ? b : a), 'Healthy')
}

/** Argo CD's own health checks, for the kinds that have one. */
export function healthOf(object: Stored | undefined): Health {
  if (!object) return 'Missing'
  const status = (name: string) => dig<number>(object, 'status', name) ?? 0
  switch (object.kind) {
    case 'Deployment':
    case 'StatefulSet':
      return status('readyReplicas') >= Number(dig(object, 'spec', 'replicas') ?? 1)
        ? 'Healthy'
        : 'Progressing'
    case 'DaemonSet':
      return status('numberReady') >= status('desiredNumberScheduled') ? 'Healthy' : 'Progressing'
    case 'PersistentVolumeClaim': {
      const phase = dig(object, 'status', 'phase')
      return phase === 'Bound' ? 'Healthy' : phase === 'Lost' ? 'Degraded' : 'Progressing'
    }
    case 'Job':
      return digList(object, 'status', 'conditions').some(c => c.type === 'Failed' && c.status === 'True')
        ? 'Degraded'
        : digList(object, 'status', 'conditions').some(c => c.type === 'Complete')
          ? 'Healthy'
          : 'Progressing'
    case 'OnePasswordItem': {
      const ready = digList(object, 'status', 'conditions').find(c => c.type === 'Ready')
      return ready === undefined ? 'Progressing' : ready.status === 'True' ? 'Healthy' : 'Degraded'
    }
    // Since 1.8 an Application has no health of its own in its parent, unless argocd-cm restores it.
    default:
      return 'Healthy'
  }
}

function ended(phase: string, message: string): Record<string, unknown> {
  return { phase, message, startedAt: now(), finishedAt: now() }
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}
