import type { KubernetesObject } from '../blueprint.ts'
import { admit, complete, withoutSlips } from './admission.ts'
import { isKept, marked } from './deletion.ts'
import { managed } from './field-owners.ts'
import { leaves } from './fields.ts'
import { newObject } from './new-object.ts'
import { jsonPatch, mergePatch, PatchError, strategicMergePatch } from './patches.ts'
import { detailsOf, mustBeLatest, mustMeet, namespaceTerminating, notFound, shown } from './refusals.ts'
import { replaced } from './replacement.ts'
import { groupVersionOf, type ResourceType } from './resources.ts'
import { untyped } from './schema.ts'
import { applyTo, undeclared } from './server-side-apply.ts'
import { StatusError } from './status-error.ts'
import type { Ref, Stored } from './stored.ts'
import { VersionedObjects } from './versioned-objects.ts'

/**
 * Everything that the API server keeps, with the rules of its writes: versions, generations, finalizers, field managers.
 */
export class ObjectStore extends VersionedObjects {
  create(resource: ResourceType, wanted: KubernetesObject, manager: string, dryRun = false): Stored {
    const given = admit(resource, wanted)
    const namespace = this.namespaceFor(resource, given)
    const name =
      given.metadata.name ?? `${given.metadata.generateName ?? ''}${this.world.newUuid().slice(0, 5)}`
    const ref = { resource, namespace, name }
    this.mustTakeNew(ref)
    if (this.find(ref))
      throw new StatusError(409, 'AlreadyExists', `${shown(ref)} "${name}" already exists`, detailsOf(ref))
    const object = complete(
      resource,
      newObject(ref, withoutSlips(resource, structuredClone(given)), this.world.newUuid()),
    )
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
    const object = newObject(ref, structuredClone(kept), this.world.newUuid())
    if (kept.status !== undefined) object.status = structuredClone(kept.status)
    if (uid !== undefined) object.metadata.uid = String(uid)
    this.put(ref, object, 'ADDED')
  }

  /** Replaces an object; its status only through the subresource, where it has one. */
  update(ref: Ref, replacement: KubernetesObject, manager: string, options: WriteOptions = {}): Stored {
    const there = this.get(ref)
    mustBeLatest(ref, there, replacement)
    return this.settle(ref, there, replaced(ref, there, replacement, manager, options), options.dryRun)
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
      const object = complete(ref.resource, newObject(ref, applied, this.world.newUuid()))
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
    const next = marked(ref.resource, there, options.graceSeconds ?? 0)
    if (next) return this.settle(ref, there, next)
    this.drop(ref, there)
    return there
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
    if (next.metadata.deletionTimestamp && !isKept(ref.resource, next)) {
      this.drop(ref, next)
      return next
    }
    this.put(ref, next, 'MODIFIED')
    return next
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
    throw namespaceTerminating({ resource, name }, namespace)
  }
}

interface WriteOptions {
  status?: boolean
  dryRun?: boolean
}

/** What a generation counts: everything but the metadata and the status. */
function intent(object: Stored): object {
  return { ...object, status: null, metadata: null }
}
