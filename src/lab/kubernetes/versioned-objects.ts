import type { World } from '../world.ts'
import { ObjectLog } from './object-log.ts'
import { notFound } from './refusals.ts'
import { builtIn, definedBy, groupVersionOf, type ResourceType } from './resources.ts'
import { StatusError } from './status-error.ts'
import type { Ref, Stored } from './stored.ts'

export interface StoreEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  resource: ResourceType
  object: Stored
  /** What it was before; absent for a new one. */
  before?: Stored
}

// What a watch may go back to; whoever comes from further away has to list again, as with the real one.
const remembered = 5_000

/**
 * What etcd and its cache are to an API server: objects by key and type, each change a version of its own, told to whoever
 * watches. Each change is a line in a file of the world before anybody is told. What definitions define is served.
 */
export class VersionedObjects {
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

  protected put(ref: Ref, object: Stored, event: 'ADDED' | 'MODIFIED'): void {
    this.version += 1
    object.metadata.resourceVersion = String(this.version)
    const key = keyOf(ref)
    const before = this.objects.get(key)
    this.log.append({ key, version: this.version, object })
    this.keep(key, object)
    if (ref.resource.kind === 'CustomResourceDefinition') this.learnTypes()
    this.tell({ type: event, resource: ref.resource, object, ...(before ? { before } : {}) })
  }

  protected drop(ref: Ref, object: Stored): void {
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

function isOfKind(type: ResourceType, kind: string): boolean {
  return type.kind === kind || `${type.kind}.${type.group}` === kind
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
