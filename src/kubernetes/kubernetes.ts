/** Any Kubernetes object, as YAML or JSON has it. Nothing that a person wrote is dropped or converted. */
export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: {
    name?: string
    namespace?: string
    uid?: string
    resourceVersion?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    deletionTimestamp?: string
    [key: string]: unknown
  }
  [key: string]: unknown
}

/** Names one object. */
export interface ObjectRef {
  apiVersion: string
  kind: string
  namespace?: string | undefined
  name: string
}

/** What may be asked of a cluster without changing it. */
export interface KubernetesReader {
  /** `ok` from /readyz within a few seconds. */
  ready(): Promise<{ ready: boolean; why: string }>
  /** Version of the API server: `v1.34.2+k0s`. */
  version(): Promise<string>
  /** An object, or undefined when it is not there or its kind is not served (yet). */
  get(ref: ObjectRef): Promise<KubernetesObject | undefined>
  /** Objects of a kind; none when the kind is not served. */
  list(kind: { apiVersion: string; kind: string; namespace?: string }): Promise<KubernetesObject[]>
  /** Whether the server knows a kind. Fault `aggregated-api-away` when nobody can tell now. */
  serves(kind: { apiVersion: string; kind: string }): Promise<boolean>
  /** The last lines of what a pod’s container wrote; undefined where there is nothing to read (yet). */
  log(pod: { namespace: string; name: string }, container: string, lines: number): Promise<string | undefined>
}

/** What changes a cluster. */
export interface KubernetesWriter extends KubernetesReader {
  /**
   * Server-side apply as field manager `recover`. Fields that others own are taken over only with `force`; otherwise
   * Fault `field-conflict` names them.
   */
  apply(object: KubernetesObject, options?: { force?: boolean }): Promise<KubernetesObject>
  /** JSON merge patch. */
  patch(ref: ObjectRef, patch: object): Promise<KubernetesObject>
  /** Deletes exactly the object with this uid; one that is gone already is no error. */
  remove(ref: ObjectRef, uid: string): Promise<void>
}

/** `Deployment grafana/grafana`, for people. */
export function showRef(ref: { kind: string; namespace?: string | undefined; name: string }): string {
  return `${ref.kind} ${ref.namespace === undefined ? '' : `${ref.namespace}/`}${ref.name}`
}

/** The reference to an object that has a name. */
export function refOf(object: KubernetesObject): ObjectRef {
  const { name = '', namespace } = object.metadata
  return { apiVersion: object.apiVersion, kind: object.kind, namespace, name }
}
