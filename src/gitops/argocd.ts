import type { KubernetesObject, ObjectRef } from '../kubernetes/kubernetes.ts'

export const applicationKind = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Application' } as const

/**
 * Alpha, but whole: nothing is rendered, compared or applied, and operations are left standing. In its status Argo CD 3.5 writes
 * an `InvalidSpecError` while its project or cluster is not known, since its cache of Applications looks at those of all.
 */
const hold = 'argocd.argoproj.io/skip-reconcile'

/** An object that an Application manages, as its status lists it. */
export interface ManagedResource {
  ref: ObjectRef
  sync: string
  hook: boolean
}

/** What the last operation, or the one under way, did with one object. */
export interface SyncResult {
  kind: string
  namespace: string | undefined
  name: string
  message: string
  failed: boolean
  /** PreSync, Sync, PostSync, SyncFail; absent for what is no hook. */
  hook: string | undefined
}

/** A sync: the one under way, or the last one. */
export interface SyncOperation {
  phase: string
  message: string
  retries: number
  /** Changes with every operation. */
  startedAt: string
  finishedAt: string | undefined
  /** The commit that it syncs. */
  revision: string | undefined
  /** How often self-heal has set right what somebody else changed, in a row. */
  healed: number
  results: SyncResult[]
}

/** An Application as its status tells. */
export interface ApplicationState {
  held: boolean
  /** Synced, OutOfSync, Unknown; empty while Argo CD has not looked at it. */
  sync: string
  /** The commit that it was compared with last. */
  revision: string | undefined
  /** Healthy, Progressing, Degraded, Suspended, Missing, Unknown. */
  health: string
  conditions: { type: string; message: string }[]
  operation: SyncOperation | undefined
  /** An operation is asked for or under way. */
  busy: boolean
  /** It syncs by itself when Git changes. */
  automated: boolean
  /** It also syncs by itself when the cluster changes. */
  selfHeal: boolean
  resources: ManagedResource[]
}

/** An Application as it stands in Git, held: Argo CD leaves it alone until it is applied without the mark. */
export function held(application: KubernetesObject): KubernetesObject {
  return withAnnotation(application, hold, 'true')
}

/** Merge patches that hold a living Application back and let it go. */
export const holding = {
  hold: { metadata: { annotations: { [hold]: 'true' } } },
  letGo: { metadata: { annotations: { [hold]: null } } },
} as const

/** Whether Argo CD is told to leave this Application alone. */
export function isHeldBack(live: KubernetesObject): boolean {
  return live.metadata.annotations?.[hold] === 'true'
}

interface RawStatus {
  sync?: { status?: string; revision?: string }
  health?: { status?: string }
  conditions?: { type: string; message: string }[]
  operationState?: {
    phase?: string
    message?: string
    retryCount?: number
    startedAt?: string
    finishedAt?: string
    operation?: { sync?: { revision?: string; autoHealAttemptsCount?: number } }
    syncResult?: { resources?: RawResult[] }
  }
  resources?: RawResource[]
}

interface RawResult {
  kind: string
  namespace?: string
  name: string
  message?: string
  status?: string
  hookPhase?: string
  hookType?: string
}

interface RawResource {
  group?: string
  version: string
  kind: string
  namespace?: string
  name: string
  status?: string
  hook?: boolean
}

/** Reads an Application's status. Fields that Argo CD leaves out while they are empty have their empty value. */
export function stateOf(live: KubernetesObject): ApplicationState {
  const status = (live.status ?? {}) as RawStatus
  const automated = automation(live)
  const { operationState: last } = status
  return {
    held: isHeldBack(live),
    sync: status.sync?.status ?? '',
    revision: status.sync?.revision,
    health: status.health?.status ?? 'Unknown',
    conditions: status.conditions ?? [],
    operation: last && {
      phase: last.phase ?? '',
      message: last.message ?? '',
      retries: last.retryCount ?? 0,
      startedAt: last.startedAt ?? '',
      finishedAt: last.finishedAt,
      revision: last.operation?.sync?.revision,
      healed: last.operation?.sync?.autoHealAttemptsCount ?? 0,
      results: (last.syncResult?.resources ?? []).map(result => ({
        kind: result.kind,
        namespace: result.namespace || undefined,
        name: result.name,
        message: result.message ?? '',
        failed: result.status === 'SyncFailed' || ['Failed', 'Error'].includes(result.hookPhase ?? ''),
        hook: result.hookType,
      })),
    },
    busy: live.operation !== undefined || ['Running', 'Terminating'].includes(last?.phase ?? ''),
    automated: automated !== undefined && automated.enabled !== false,
    selfHeal: automated?.selfHeal === true,
    resources: (status.resources ?? []).map(
      ({ group, version, kind, namespace, name, status: sync, hook }) => ({
        ref: {
          apiVersion: group ? `${group}/${version}` : version,
          kind,
          namespace: namespace || undefined,
          name,
        },
        sync: sync ?? '',
        hook: hook === true,
      }),
    ),
  }
}

/** What makes Argo CD do at once what it does later or never by itself. Each is a merge patch of the Application. */
export type Push = 'sync' | 'refresh' | 'terminate'

/**
 * The merge patch of a push. `sync` begins an operation as `argocd app sync` would: the controller does not take the
 * options of the Application for an operation that brings none. `refresh` renders once more without what was cached
 * (after a ComparisonError nothing is tried again for minutes). `terminate` ends an operation that waits.
 */
export function pushPatch(live: KubernetesObject, push: Push): object {
  if (push === 'refresh') return { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'hard' } } }
  if (push === 'terminate') return { status: { operationState: { phase: 'Terminating' } } }
  const { syncPolicy } = (live.spec ?? {}) as {
    syncPolicy?: { syncOptions?: string[]; retry?: object }
  }
  return {
    operation: {
      initiatedBy: { username: 'recover' },
      ...(syncPolicy?.retry ? { retry: syncPolicy.retry } : {}),
      sync: {
        prune: automation(live)?.prune === true,
        ...(syncPolicy?.syncOptions ? { syncOptions: syncPolicy.syncOptions } : {}),
      },
    },
  }
}

function automation(live: KubernetesObject) {
  const { syncPolicy } = (live.spec ?? {}) as {
    syncPolicy?: { automated?: { enabled?: boolean; prune?: boolean; selfHeal?: boolean } | null }
  }
  return syncPolicy?.automated ?? undefined
}

function withAnnotation(object: KubernetesObject, name: string, value: string): KubernetesObject {
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [name]: value } },
  }
}
