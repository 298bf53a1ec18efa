import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { KubernetesObject } from '../blueprint.ts'
import type { World } from '../world.ts'
import { at, fromFieldsV1, leaves, mergeApplied, removeAt, showPath, toFieldsV1 } from './fields.ts'
import { builtIn, definedBy, groupVersionOf, type ResourceType } from './resources.ts'

/** An object as the server keeps it: its metadata is complete. */
export interface Stored extends KubernetesObject {
  metadata: KubernetesObject['metadata'] & {
    name: string
    uid: string
    resourceVersion: string
    creationTimestamp: string
    generation: number
    labels?: Record<string, string>
    annotations?: Record<string, string>
    finalizers?: string[]
    deletionTimestamp?: string
    ownerReferences?: { kind: string; name: string; uid: string }[]
    managedFields?: ManagedFields[]
  }
}

interface ManagedFields {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  fieldsType: 'FieldsV1'
  fieldsV1: object
}

/** Refused as the API server refuses: with a Status. */
export class StatusError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: object | undefined
  constructor(code: number, reason: string, message: string, details?: object) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
  }
}

export interface StoreEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  resource: ResourceType
  object: Stored
}

/** Names one object. */
export interface Ref {
  resource: ResourceType
  namespace?: string | undefined
  name: string
}

/**
 * Everything that the API server keeps, with the rules of its writes: versions, generations, finalizers, field
 * managers. Each change is a line in a file of the world before anybody is told.
 */
export class ObjectStore {
  private readonly objects = new Map<string, Stored>()
  private readonly watchers = new Set<(event: StoreEvent) => void>()
  private readonly file: string
  private version = 1
  readonly world: World
  private types: ResourceType[] = [...builtIn]

  constructor(world: World, epoch: string) {
    this.world = world
    this.file = world.path('kubernetes', `${epoch}.ndjson`)
    if (existsSync(this.file))
      for (const line of readFileSync(this.file, 'utf8').split('\n')) {
        if (!line.endsWith('}')) continue
        const { key, object, version } = JSON.parse(line) as { key: string; object?: Stored; version: number }
        this.version = version
        if (object) this.objects.set(key, object)
        else this.objects.delete(key)
      }
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

  /** The one type of a kind, by its kind alone; for controllers, which know what they look after. */
  kind(kind: string): ResourceType {
    const found = this.types.find(t => t.kind === kind)
    if (!found) throw new StatusError(404, 'NotFound', `no kind ${kind} is served`)
    return found
  }

  has(kind: string): boolean {
    return this.types.some(t => t.kind === kind)
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
    const prefix = `${resource.group}/${resource.plural}/`
    return [...this.objects]
      .filter(([key]) => key.startsWith(namespace === undefined ? prefix : `${prefix}${namespace}/`))
      .map(([, object]) => object)
      .sort((a, b) => keyText(a).localeCompare(keyText(b)))
  }

  /** All objects of a kind; none when the kind is not served. */
  all(kind: string, namespace?: string): Stored[] {
    return this.types.some(t => t.kind === kind) ? this.list(this.kind(kind), namespace) : []
  }

  watch(listener: (event: StoreEvent) => void): () => void {
    this.watchers.add(listener)
    return () => this.watchers.delete(listener)
  }

  create(resource: ResourceType, given: KubernetesObject, manager: string, dryRun = false): Stored {
    const namespace = this.namespaceFor(resource, given)
    const name =
      given.metadata.name ?? `${given.metadata.generateName ?? ''}${this.world.newUuid().slice(0, 5)}`
    const ref = { resource, namespace, name }
    if (this.find(ref))
      throw new StatusError(409, 'AlreadyExists', `${resource.plural} "${name}" already exists`)
    const object = this.born(ref, structuredClone(given))
    object.metadata.managedFields = [managed(manager, 'Update', object, leaves(given))]
    if (!dryRun) this.put(ref, object, 'ADDED')
    return object
  }

  /** Replaces an object; its status only through the subresource, where it has one. */
  update(
    ref: Ref,
    given: KubernetesObject,
    manager: string,
    options: { status?: boolean; dryRun?: boolean } = {},
  ): Stored {
    const there = this.get(ref)
    const wanted = given.metadata.resourceVersion
    if (typeof wanted === 'string' && wanted !== '' && wanted !== there.metadata.resourceVersion)
      throw new StatusError(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${ref.resource.plural} "${ref.name}": the object has been modified; please apply your changes to the latest version and try again`,
      )
    const { status } = ref.resource
    const next: Stored = options.status
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
            ...(there.metadata.managedFields ? { managedFields: there.metadata.managedFields } : {}),
            ...(there.metadata.namespace ? { namespace: there.metadata.namespace } : {}),
          },
          ...(status ? { status: structuredClone(there.status) } : {}),
        }
    if (!options.status) own(next, there, manager)
    return this.settle(ref, there, next, options.dryRun)
  }

  /** JSON merge patch (RFC 7386). */
  merge(
    ref: Ref,
    patch: object,
    manager: string,
    options: { status?: boolean; dryRun?: boolean } = {},
  ): Stored {
    return this.update(ref, mergePatch(this.get(ref), patch) as Stored, manager, options)
  }

  /** Server-side apply, with owners and conflicts. */
  apply(
    ref: Ref,
    given: KubernetesObject,
    manager: string,
    options: { force?: boolean; dryRun?: boolean } = {},
  ): Stored {
    const applied = structuredClone(given)
    delete (applied as Partial<KubernetesObject>).status
    const mine = leaves(applied)
    const there = this.find(ref)
    if (!there) {
      const object = this.born(ref, applied)
      object.metadata.managedFields = [managed(manager, 'Apply', object, mine)]
      if (!options.dryRun) this.put(ref, object, 'ADDED')
      return object
    }
    const fields = there.metadata.managedFields ?? []
    const others = fields.filter(f => !(f.manager === manager && f.operation === 'Apply'))
    const conflicts = others.flatMap(f =>
      [...fromFieldsV1(f.fieldsV1)]
        .filter(
          path => mine.has(path) && JSON.stringify(at(there, path)) !== JSON.stringify(at(applied, path)),
        )
        .map(path => ({ manager: f.manager, operation: f.operation, path })),
    )
    if (conflicts.length > 0 && !options.force) {
      const causes = conflicts.map(c => ({
        reason: 'FieldManagerConflict',
        message: `conflict with "${c.manager}"`,
        field: showPath(c.path),
      }))
      throw new StatusError(
        409,
        'Conflict',
        `Apply failed with ${conflicts.length} conflict${conflicts.length > 1 ? 's' : ''}: ${causes.map(c => `${c.message}: ${c.field}`).join(', ')}`,
        { causes },
      )
    }
    const next = mergeApplied(structuredClone(there), applied)
    next.metadata = {
      ...next.metadata,
      uid: there.metadata.uid,
      resourceVersion: there.metadata.resourceVersion,
    }
    // What this manager owned and no longer names goes, unless somebody else owns it too.
    const before = fields.find(f => f.manager === manager && f.operation === 'Apply')
    const foreign = new Set(others.flatMap(f => [...fromFieldsV1(f.fieldsV1)]))
    for (const path of before ? fromFieldsV1(before.fieldsV1) : [])
      if (!mine.has(path) && !foreign.has(path)) removeAt(next, path)
    const lost = new Set(conflicts.map(c => c.path))
    next.metadata.managedFields = [
      ...others
        .map(f => ({
          ...f,
          fieldsV1: toFieldsV1(new Set([...fromFieldsV1(f.fieldsV1)].filter(p => !lost.has(p)))),
        }))
        .filter(f => Object.keys(f.fieldsV1).length > 0),
      managed(manager, 'Apply', next, mine),
    ]
    return this.settle(ref, there, next, options.dryRun)
  }

  /** Deletes, or marks for deletion what still has finalizers. */
  remove(ref: Ref, options: { uid?: string; dryRun?: boolean } = {}): Stored {
    const there = this.get(ref)
    if (options.uid !== undefined && options.uid !== there.metadata.uid)
      throw new StatusError(
        409,
        'Conflict',
        `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${there.metadata.uid}`,
      )
    if (options.dryRun) return there
    if ((there.metadata.finalizers ?? []).length > 0) {
      const next = structuredClone(there)
      next.metadata.deletionTimestamp ??= new Date().toISOString()
      return this.settle(ref, there, next)
    }
    this.drop(ref, there)
    return there
  }

  /** A controller's own write of a status: no version is compared. */
  setStatus(ref: Ref, status: unknown): void {
    const there = this.find(ref)
    if (!there) return
    this.settle(ref, there, { ...structuredClone(there), status: structuredClone(status) })
  }

  private settle(ref: Ref, there: Stored, next: Stored, dryRun = false): Stored {
    if (JSON.stringify(withoutStatus(next)) !== JSON.stringify(withoutStatus(there)))
      next.metadata.generation = there.metadata.generation + 1
    if (JSON.stringify(next) === JSON.stringify(there)) return there
    if (dryRun) return next
    if (next.metadata.deletionTimestamp && (next.metadata.finalizers ?? []).length === 0) {
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
    appendFileSync(this.file, `${JSON.stringify({ key, version: this.version, object })}\n`, { mode: 0o600 })
    this.objects.set(key, object)
    if (ref.resource.kind === 'CustomResourceDefinition') this.learnTypes()
    for (const watcher of this.watchers) watcher({ type: event, resource: ref.resource, object })
  }

  private drop(ref: Ref, object: Stored): void {
    this.version += 1
    const key = keyOf(ref)
    appendFileSync(this.file, `${JSON.stringify({ key, version: this.version })}\n`, { mode: 0o600 })
    this.objects.delete(key)
    if (ref.resource.kind === 'CustomResourceDefinition') this.learnTypes()
    const gone = structuredClone(object)
    gone.metadata.resourceVersion = String(this.version)
    for (const watcher of this.watchers) watcher({ type: 'DELETED', resource: ref.resource, object: gone })
  }

  private born(ref: Ref, given: KubernetesObject): Stored {
    const metadata = {
      ...given.metadata,
      name: ref.name,
      ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
      uid: this.world.newUuid(),
      resourceVersion: '',
      creationTimestamp: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      generation: 1,
    }
    delete (metadata as { generateName?: string }).generateName
    return { ...given, metadata }
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
    if (!this.find(ref)) throw new StatusError(404, 'NotFound', `namespaces "${namespace}" not found`)
  }

  private learnTypes(): void {
    const crds = this.list(builtIn.find(t => t.kind === 'CustomResourceDefinition') as ResourceType)
    this.types = [...builtIn, ...crds.flatMap(definedBy)]
  }

  private compact(): void {
    const lines = [...this.objects].map(([key, object]) =>
      JSON.stringify({ key, version: Number(object.metadata.resourceVersion), object }),
    )
    const last = JSON.stringify({ key: '-', version: this.version })
    writeFileSync(`${this.file}.tmp`, `${[...lines, last].join('\n')}\n`, { mode: 0o600 })
    renameSync(`${this.file}.tmp`, this.file)
  }
}

export function notFound(ref: Ref): StatusError {
  const group = ref.resource.group === '' ? '' : `.${ref.resource.group}`
  return new StatusError(404, 'NotFound', `${ref.resource.plural}${group} "${ref.name}" not found`)
}

function keyOf({ resource, namespace, name }: Ref): string {
  return `${resource.group}/${resource.plural}/${namespace ?? ''}/${name}`
}

function keyText(object: Stored): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

function managed(
  manager: string,
  operation: 'Apply' | 'Update',
  object: KubernetesObject,
  paths: Set<string>,
): ManagedFields {
  return {
    manager,
    operation,
    apiVersion: object.apiVersion,
    fieldsType: 'FieldsV1',
    fieldsV1: toFieldsV1(paths),
  }
}

/** Fields that an ordinary write changed belong to its writer from then on. */
function own(next: Stored, there: Stored, manager: string): void {
  const changed = new Set(
    [...leaves(next)].filter(path => JSON.stringify(at(next, path)) !== JSON.stringify(at(there, path))),
  )
  if (changed.size === 0) return
  const fields = (next.metadata.managedFields ?? []).map(f => ({
    ...f,
    fieldsV1: toFieldsV1(new Set([...fromFieldsV1(f.fieldsV1)].filter(p => !changed.has(p)))),
  }))
  const mine = fields.find(f => f.manager === manager && f.operation === 'Update')
  if (mine) mine.fieldsV1 = toFieldsV1(new Set([...fromFieldsV1(mine.fieldsV1), ...changed]))
  else fields.push(managed(manager, 'Update', next, changed))
  next.metadata.managedFields = fields.filter(f => Object.keys(f.fieldsV1).length > 0)
}

function withoutStatus(object: Stored): object {
  return { ...object, status: null, metadata: { ...object.metadata, managedFields: null } }
}

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch
  const result: Record<string, unknown> =
    target !== null && typeof target === 'object' && !Array.isArray(target)
      ? { ...(target as Record<string, unknown>) }
      : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value)
  }
  return result
}
