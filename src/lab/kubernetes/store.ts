import type { KubernetesObject } from '../blueprint.ts'
import type { World } from '../world.ts'
import { admit, complete, mustStay } from './admission.ts'
import { managed, ownChanged } from './field-owners.ts'
import { leaves } from './fields.ts'
import { ObjectLog } from './object-log.ts'
import { jsonPatch, mergePatch, PatchError, strategicMergePatch } from './patches.ts'
import { detailsOf, mustBeLatest, mustMeet, notFound, shown } from './refusals.ts'
import { builtIn, definedBy, groupVersionOf, type ResourceType, topLevelOf } from './resources.ts'
import { untyped } from './schema.ts'
import { applyTo, undeclared } from './server-side-apply.ts'
import { StatusError } from './status-error.ts'
import type { ManagedFields, Ref, Stored } from './stored.ts'

export interface StoreEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  resource: ResourceType
  object: Stored
  /** What it was before; absent for a new one. */
  before?: Stored
}

// What a watch may go back to; whoever comes from further away has to list again, as with the real one.
const remembered = 5_000

/** What keeps a deleted object until nobody uses it any more; put on it when it is made. */
export const inUse = {
  PersistentVolume: 'kubernetes.io/pv-protection',
  PersistentVolumeClaim: 'kubernetes.io/pvc-protection',
} as const

/**
 * Everything that the API server keeps, with the rules of its writes: versions, generations, finalizers, field
 * managers. Each change is a line in a file of the world before anybody is told.
 */
export class ObjectStore {
  private readonly objects = new Map<string, Stored>()
  /** The same by type: controllers list all the time. */
  private readonly byType = new Map<string, Map<string, Stored>>()
  private readonly watchers = new Set<(event: StoreEvent) => void>()
  private readonly log: ObjectLog
  // A real server's own first objects take the versions before; a watch from there is from too long ago.
  private version = 100
  readonly world: World
  private types: ResourceType[] = [...builtIn]
  private history: { version: number; event: StoreEvent }[] = []
  /** Versions from here on are remembered as events. */
  private horizon: number

  constructor(world: World, epoch: string) {
    this.world = world
    this.log = new ObjectLog(world.path('kubernetes', `${epoch}.ndjson`))
    for (const { key, object, version } of this.log.read()) {
      this.version = version
      if (object) this.keep(key, object)
      else this.forget(key)
    }
    this.horizon = this.version
    this.compact()
    this.learnTypes()
  }

  resources(): ResourceType[] {
    return this.types
  }

  /** The type that serves `apiVersion` and `kind`. */
  type(apiVersion: string, kind: string): ResourceType | undefined {
    return this.types.find(t => groupVersionOf(t) === apiVersion && t.kind === kind)
  }

  /**
   * The one type of a kind, by its kind alone or as `Kind.group` where others may have that kind, too; for controllers,
   * which know what they look after.
   */
  kind(kind: string): ResourceType {
    const found = this.types.find(t => isOfKind(t, kind))
    if (!found) throw new StatusError(404, 'NotFound', `no kind ${kind} is served`)
    return found
  }

  has(kind: string): boolean {
    return this.types.some(t => isOfKind(t, kind))
  }

  get resourceVersion(): string {
    return String(this.version)
  }

  find(ref: Ref): Stored | undefined {
    return this.objects.get(keyOf(ref))
  }

  get(ref: Ref): Stored {
    const found = this.find(ref)
    if (!found) throw notFound(ref)
    return found
  }

  list(resource: ResourceType, namespace?: string): Stored[] {
    const found: Stored[] = []
    for (const object of this.byType.get(`${resource.group}/${resource.plural}`)?.values() ?? [])
      if (namespace === undefined || (object.metadata.namespace ?? '') === namespace) found.push(object)
    return found.length < 2 ? found : found.sort((a, b) => (keyText(a) < keyText(b) ? -1 : 1))
  }

  /** All objects of a kind; none when the kind is not served. */
  all(kind: string, namespace?: string): Stored[] {
    return this.has(kind) ? this.list(this.kind(kind), namespace) : []
  }

  watch(listener: (event: StoreEvent) => void): () => void {
    this.watchers.add(listener)
    return () => this.watchers.delete(listener)
  }

  /** What happened after a version, or undefined when that is too long ago to know. */
  since(version: number): StoreEvent[] | undefined {
    // From a version that is still to come one waits, as with the real server.
    if (version < this.horizon) return undefined
    return this.history.filter(h => h.version > version).map(h => h.event)
  }

  create(resource: ResourceType, wanted: KubernetesObject, manager: string, dryRun = false): Stored {
    const given = admit(resource, wanted)
    const namespace = this.namespaceFor(resource, given)
    const name =
      given.metadata.name ?? `${given.metadata.generateName ?? ''}${this.world.newUuid().slice(0, 5)}`
    const ref = { resource, namespace, name }
    this.mustTakeNew(ref)
    if (this.find(ref))
      throw new StatusError(409, 'AlreadyExists', `${shown(ref)} "${name}" already exists`, detailsOf(ref))
    const object = complete(resource, this.born(ref, withoutSlips(resource, structuredClone(given))))
    object.metadata.managedFields = [managed(manager, 'Update', object, leaves(object, resource.schema))]
    if (!dryRun) this.put(ref, object, 'ADDED')
    return object
  }

  /** Puts an object in as a backup has it: with its own uid, owners and state. */
  putBack(resource: ResourceType, kept: KubernetesObject): void {
    const { namespace, name = '', uid } = kept.metadata
    const ref = {
      resource,
      ...(namespace === undefined ? {} : { namespace: String(namespace) }),
      name: String(name),
    }
    const object = this.born(ref, structuredClone(kept))
    if (kept.status !== undefined) object.status = structuredClone(kept.status)
    if (uid !== undefined) object.metadata.uid = String(uid)
    this.put(ref, object, 'ADDED')
  }

  /** Replaces an object; its status only through the subresource, where it has one. */
  update(ref: Ref, replacement: KubernetesObject, manager: string, options: WriteOptions = {}): Stored {
    const there = this.get(ref)
    mustBeLatest(ref, there, replacement)
    const given = withoutSlips(ref.resource, admit(ref.resource, replacement))
    const { status } = ref.resource
    const changed: Stored = options.status
      ? { ...structuredClone(there), status: structuredClone(given.status) }
      : {
          ...structuredClone(given),
          metadata: {
            ...structuredClone(given.metadata),
            name: there.metadata.name,
            uid: there.metadata.uid,
            creationTimestamp: there.metadata.creationTimestamp,
            generation: there.metadata.generation,
            resourceVersion: there.metadata.resourceVersion,
            managedFields: (
              (given.metadata.managedFields ?? there.metadata.managedFields ?? []) as ManagedFields[]
            ).filter(f => f.fieldsV1),
            ...(there.metadata.namespace ? { namespace: there.metadata.namespace } : {}),
          },
          ...(status ? { status: structuredClone(there.status) } : {}),
        }
    const next = complete(ref.resource, changed, there)
    // Nobody takes a deletion back.
    const { deletionTimestamp, deletionGracePeriodSeconds } = there.metadata
    delete next.metadata.deletionTimestamp
    delete next.metadata.deletionGracePeriodSeconds
    if (deletionTimestamp !== undefined) next.metadata.deletionTimestamp = deletionTimestamp
    if (deletionGracePeriodSeconds !== undefined)
      next.metadata.deletionGracePeriodSeconds = deletionGracePeriodSeconds
    if (!options.status) {
      mustStay(ref.resource, there, next)
      ownChanged(next, there, manager, ref.resource)
    }
    return this.settle(ref, there, next, options.dryRun)
  }

  /** JSON merge patch (RFC 7386). */
  merge(ref: Ref, patch: object, manager: string, options: WriteOptions = {}): Stored {
    return this.patch(ref, mergePatch, patch, manager, options)
  }

  /** Strategic merge patch, as kubectl's own apply and patch send it for built-in kinds. */
  strategic(ref: Ref, patch: object, manager: string, options: WriteOptions = {}): Stored {
    return this.patch(ref, strategicMergePatch, patch, manager, options)
  }

  /** JSON patch (RFC 6902). */
  jsonPatch(ref: Ref, operations: unknown, manager: string, options: WriteOptions = {}): Stored {
    return this.patch(ref, jsonPatch, operations, manager, options)
  }

  private patch(
    ref: Ref,
    how: (target: unknown, patch: unknown) => unknown,
    patch: unknown,
    manager: string,
    options: WriteOptions,
  ): Stored {
    try {
      return this.update(ref, how(this.get(ref), patch) as Stored, manager, options)
    } catch (error) {
      // The server keeps to itself what does not fit.
      if (error instanceof PatchError)
        throw new StatusError(
          422,
          'Invalid',
          'the server rejected our request due to an error in our request',
          {},
        )
      throw error
    }
  }

  /** Server-side apply, with owners and conflicts. */
  apply(
    ref: Ref,
    given: KubernetesObject,
    manager: string,
    options: { force?: boolean; dryRun?: boolean; status?: boolean } = {},
  ): Stored {
    if ((given.metadata.managedFields ?? null) !== null)
      throw new StatusError(400, 'BadRequest', 'metadata.managedFields must be nil')
    const { schema } = ref.resource
    const slip = schema ? untyped(schema, given) : undeclared(ref.resource, given)
    if (slip !== undefined)
      throw new StatusError(
        500,
        '',
        `failed to create typed patch object (${ref.namespace ?? ''}/${ref.name}; ${groupVersionOf(ref.resource) === 'v1' ? '/v1' : groupVersionOf(ref.resource)}, Kind=${ref.resource.kind}): ${slip}`,
      )
    const there = this.find(ref)
    const named = { ...given, metadata: { ...given.metadata, name: ref.name } }
    const { apiVersion, kind, status } = given
    const applied = structuredClone(
      // Whoever applies a status owns that, and nothing else of what they send counts.
      options.status
        ? { apiVersion, kind, metadata: { name: ref.name }, status }
        : admit(ref.resource, named),
    )
    if (ref.resource.status && !options.status) delete (applied as Partial<KubernetesObject>).status
    const mine = leaves(applied, schema)
    if (!there) {
      if (options.status) throw notFound(ref)
      this.mustTakeNew(ref)
      const object = complete(ref.resource, this.born(ref, applied))
      object.metadata.managedFields = [managed(manager, 'Apply', object, mine)]
      if (!options.dryRun) this.put(ref, object, 'ADDED')
      return object
    }
    mustBeLatest(ref, there, given)
    const next = applyTo(ref, there, applied, manager, options)
    return this.settle(ref, there, next, options.dryRun)
  }

  /**
   * Deletes, or marks for deletion what still has finalizers. A pod that has a node is given `graceSeconds` (`own`: as
   * many as it says itself) to end; its kubelet deletes it without.
   */
  remove(
    ref: Ref,
    options: {
      uid?: string
      resourceVersion?: string
      dryRun?: boolean
      graceSeconds?: number | 'own'
    } = {},
  ): Stored {
    const there = this.get(ref)
    mustMeet(ref, there, options)
    if (options.dryRun) return there
    if (isNamespace(ref.resource)) return this.terminate(ref, there)
    const grace = graceOf(ref.resource, there, options.graceSeconds ?? 0)
    if (grace > 0) {
      // Who asks a second time can only shorten it.
      if ((there.metadata.deletionGracePeriodSeconds ?? Number.POSITIVE_INFINITY) <= grace) return there
      const next = structuredClone(there)
      next.metadata.deletionTimestamp = secondsFromNow(grace)
      next.metadata.deletionGracePeriodSeconds = grace
      return this.settle(ref, there, next)
    }
    if ((there.metadata.finalizers ?? []).length > 0) {
      const next = structuredClone(there)
      next.metadata.deletionTimestamp ??= now()
      next.metadata.deletionGracePeriodSeconds = 0
      return this.settle(ref, there, next)
    }
    this.drop(ref, there)
    return there
  }

  /** A namespace goes when nothing is left in it; its controller says when that is. */
  private terminate(ref: Ref, there: Stored): Stored {
    const next = structuredClone(there)
    next.metadata.deletionTimestamp ??= now()
    next.status = { phase: 'Terminating' }
    return this.settle(ref, there, next)
  }

  /** The end of a namespace of which nothing is left. */
  finalize(ref: Ref): void {
    const there = this.find(ref)
    if (there?.metadata.deletionTimestamp) this.drop(ref, there)
  }

  /** A controller's own write of a status: no version is compared. */
  setStatus(ref: Ref, status: unknown): void {
    const there = this.find(ref)
    if (!there || JSON.stringify(there.status) === JSON.stringify(status)) return
    this.settle(ref, there, { ...structuredClone(there), status: structuredClone(status) })
  }

  private settle(ref: Ref, there: Stored, next: Stored, dryRun = false): Stored {
    if (JSON.stringify(intent(next)) !== JSON.stringify(intent(there)))
      next.metadata.generation = there.metadata.generation + 1
    if (JSON.stringify(next) === JSON.stringify(there)) return there
    if (dryRun) return next
    const held =
      (next.metadata.finalizers ?? []).length > 0 ||
      isNamespace(ref.resource) ||
      (next.metadata.deletionGracePeriodSeconds ?? 0) > 0
    if (next.metadata.deletionTimestamp && !held) {
      this.drop(ref, next)
      return next
    }
    this.put(ref, next, 'MODIFIED')
    return next
  }

  private put(ref: Ref, object: Stored, event: 'ADDED' | 'MODIFIED'): void {
    this.version += 1
    object.metadata.resourceVersion = String(this.version)
    const key = keyOf(ref)
    const before = this.objects.get(key)
    this.log.append({ key, version: this.version, object })
    this.keep(key, object)
    if (ref.resource.kind === 'CustomResourceDefinition') this.learnTypes()
    this.tell({ type: event, resource: ref.resource, object, ...(before ? { before } : {}) })
  }

  private drop(ref: Ref, object: Stored): void {
    this.version += 1
    const key = keyOf(ref)
    this.log.append({ key, version: this.version })
    this.forget(key)
    const gone = structuredClone(object)
    gone.metadata.resourceVersion = String(this.version)
    this.tell({ type: 'DELETED', resource: ref.resource, object: gone, before: object })
    if (ref.resource.kind !== 'CustomResourceDefinition') return
    // What a definition defined goes with it, and does not come back with a new one.
    for (const resource of definedBy(object))
      for (const instance of this.list(resource))
        this.drop(
          { resource, namespace: instance.metadata.namespace, name: instance.metadata.name },
          instance,
        )
    this.learnTypes()
  }

  private keep(key: string, object: Stored): void {
    this.objects.set(key, object)
    const type = typeOf(key)
    const same = this.byType.get(type)
    if (same) same.set(key, object)
    else this.byType.set(type, new Map([[key, object]]))
  }

  private forget(key: string): void {
    this.objects.delete(key)
    this.byType.get(typeOf(key))?.delete(key)
  }

  private tell(event: StoreEvent): void {
    this.history.push({ version: this.version, event })
    if (this.history.length > 2 * remembered) {
      this.history = this.history.slice(-remembered)
      this.horizon = (this.history[0]?.version ?? 1) - 1
    }
    for (const watcher of this.watchers) watcher(event)
  }

  private born(ref: Ref, given: KubernetesObject): Stored {
    const metadata = {
      ...given.metadata,
      name: ref.name,
      ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
      uid: this.world.newUuid(),
      resourceVersion: '',
      creationTimestamp: now(),
      generation: 1,
    }
    delete (metadata as { deletionTimestamp?: string }).deletionTimestamp
    const finalizer = ref.resource.group === '' ? inUse[ref.resource.kind as keyof typeof inUse] : undefined
    if (finalizer !== undefined)
      Object.assign(metadata, { finalizers: [...new Set([...listOf(given.metadata.finalizers), finalizer])] })
    const born = { ...given, metadata }
    if (ref.resource.status) delete (born as Partial<KubernetesObject>).status
    return born
  }

  private namespaceFor(resource: ResourceType, given: KubernetesObject): string | undefined {
    if (!resource.namespaced) return undefined
    const namespace = given.metadata.namespace ?? 'default'
    this.mustHaveNamespace(namespace)
    return namespace
  }

  /** Throws as the server does when a namespace is not there. */
  mustHaveNamespace(namespace: string): void {
    const ref = { resource: this.kind('Namespace'), name: namespace }
    if (!this.find(ref))
      throw new StatusError(404, 'NotFound', `namespaces "${namespace}" not found`, {
        name: namespace,
        kind: 'namespaces',
      })
  }

  /** Throws as the server does when a namespace is on its way out. */
  private mustTakeNew({ resource, namespace, name }: Ref): void {
    if (!resource.namespaced || namespace === undefined) return
    const home = this.find({ resource: this.kind('Namespace'), name: namespace })
    if (!home?.metadata.deletionTimestamp) return
    throw new StatusError(
      403,
      'Forbidden',
      `${shown({ resource, name })} "${name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
      {
        ...detailsOf({ resource, name }),
        causes: [
          {
            reason: 'NamespaceTerminating',
            message: `namespace ${namespace} is being terminated`,
            field: 'metadata.namespace',
          },
        ],
      },
    )
  }

  private learnTypes(): void {
    const crds = this.list(builtIn.find(t => t.kind === 'CustomResourceDefinition') as ResourceType)
    this.types = [...builtIn, ...crds.flatMap(definedBy)]
  }

  private compact(): void {
    const changes = [...this.objects].map(([key, object]) => ({
      key,
      version: Number(object.metadata.resourceVersion),
      object,
    }))
    // The version of what was deleted last counts on, too.
    this.log.replace([...changes, { key: '-', version: this.version }])
  }
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

interface WriteOptions {
  status?: boolean
  dryRun?: boolean
}

function isOfKind(type: ResourceType, kind: string): boolean {
  return type.kind === kind || `${type.kind}.${type.group}` === kind
}

/** Without fields that its kind does not have at all; the server drops them where they are not applied. */
function withoutSlips<T extends KubernetesObject>(resource: ResourceType, given: T): T {
  const known = topLevelOf(resource)
  if (!known) return given
  return Object.fromEntries(Object.entries(given).filter(([field]) => known.includes(field))) as T
}

function isNamespace({ group, kind }: ResourceType): boolean {
  return group === '' && kind === 'Namespace'
}

/** What a generation counts: everything but the metadata and the status. */
function intent(object: Stored): object {
  return { ...object, status: null, metadata: null }
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

function secondsFromNow(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}

function keyOf({ resource, namespace, name }: Ref): string {
  return `${resource.group}/${resource.plural}/${namespace ?? ''}/${name}`
}

/** Group and plural of a key. */
function typeOf(key: string): string {
  return key.slice(0, key.indexOf('/', key.indexOf('/') + 1))
}

function keyText(object: Stored): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}
