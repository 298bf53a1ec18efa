import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import type { ApplicationState, ManagedResource } from './argocd.ts'
import type { Ailment } from './diagnosis.ts'

/** What Flux's kustomize-controller reconciles; of one name and kind with kustomize's own files, which are no objects. */
export const fluxKind = { apiVersion: 'kustomize.toolkit.fluxcd.io/v1', kind: 'Kustomization' } as const

/** A Kustomization as it stands in Git, held: Flux leaves it alone until it is applied without the mark. */
export function suspended(kustomization: KubernetesObject): KubernetesObject {
  return { ...kustomization, spec: { ...(kustomization.spec as object | undefined), suspend: true } }
}

/** Merge patches that suspend a living Kustomization and let it go. */
export const suspending = { hold: { spec: { suspend: true } }, letGo: { spec: { suspend: null } } } as const

/** Whether Flux is told to leave this object alone. */
export function isSuspended(live: KubernetesObject): boolean {
  return (live.spec as { suspend?: boolean } | undefined)?.suspend === true
}

interface Status {
  observedGeneration?: number
  conditions?: { type: string; status: string; reason?: string; message?: string }[]
  lastAppliedRevision?: string
  lastAttemptedRevision?: string
  inventory?: { entries?: { id: string; v: string }[] }
}

/** A Kustomization's status in the words of the applications: Ready is Synced and Healthy. */
export function fluxState(live: KubernetesObject): ApplicationState {
  const status = (live.status ?? {}) as Status
  const ready = conditionOf(live, 'Ready')
  const applied =
    status.lastAppliedRevision !== undefined && status.lastAppliedRevision === status.lastAttemptedRevision
  return {
    held: isSuspended(live),
    sync: ready === undefined ? '' : ready.status === 'True' || applied ? 'Synced' : 'OutOfSync',
    revision: status.lastAppliedRevision,
    health: ready?.status === 'True' ? 'Healthy' : ready?.status === 'False' ? 'Degraded' : 'Progressing',
    conditions: (status.conditions ?? []).map(c => ({ type: c.type, message: c.message ?? '' })),
    operation: undefined,
    busy: conditionOf(live, 'Reconciling')?.status === 'True',
    automated: true,
    selfHeal: true,
    resources: (status.inventory?.entries ?? []).flatMap(resourceOf),
  }
}

/** An entry of its inventory: `namespace_name_group_Kind`, and the version. */
function resourceOf({ id, v }: { id: string; v: string }): ManagedResource[] {
  const [namespace = '', name = '', group = '', kind = ''] = id.split('_')
  if (kind === '') return []
  const apiVersion = group === '' ? v : `${group}/${v}`
  return [{ ref: { apiVersion, kind, namespace: namespace || undefined, name }, sync: 'Synced', hook: false }]
}

/**
 * Why a Kustomization is not well, from its status alone; undefined when it is. Reasons are those of kustomize-controller
 * 1.x (https://fluxcd.io/flux/components/kustomize/kustomizations/#working-with-kustomizations).
 */
export function diagnoseFlux(name: string, live: KubernetesObject): Ailment | undefined {
  const ready = conditionOf(live, 'Ready')
  const seen = (live.status as Status | undefined)?.observedGeneration ?? 0
  if (ready === undefined || seen < Number(live.metadata.generation ?? 0))
    return {
      code: 'application-not-looked-at',
      blame: 'host',
      message: `Flux has not looked at the Kustomization ${name}`,
      remedy:
        'Look at kustomize-controller (kubectl -n flux-system logs deployment/kustomize-controller), then run `recover resume`',
    }
  if (ready.status === 'True') return undefined
  const says = ready.message ?? ready.reason ?? 'it gives no reason'
  const lasting = conditionOf(live, 'Stalled')?.status === 'True' ? ({ lasting: true } as const) : {}
  switch (ready.reason) {
    case 'ArtifactFailed':
    case 'BuildFailed':
      return {
        code: 'application-not-rendered',
        blame: 'operator',
        message: `Flux cannot render ${name}: ${says}`,
        remedy:
          'Mend what the message names (the manifests in Git, the access to the repository, the key for what is encrypted), then run `recover resume`',
        push: 'refresh',
        ...lasting,
      }
    case 'HealthCheckFailed':
      return {
        code: 'application-degraded',
        blame: 'host',
        message: `${name} is applied and not well: ${says}`,
        remedy: `Look at what it brings (flux get kustomization ${name}, then its pods); its data is in place. Once it is mended, run \`recover resume\``,
        push: 'sync',
        ...lasting,
      }
    case 'DependencyNotReady':
      return {
        code: 'application-waits',
        blame: 'host',
        message: `${name} waits for what it depends on: ${says}`,
        remedy: 'Mend that one first; then run `recover resume`',
      }
    case 'Progressing':
    case 'ProgressingWithRetry':
      return {
        code: 'application-sync-unfinished',
        blame: 'host',
        message: `Flux is not done with ${name}: ${says}`,
        remedy:
          'Look at kustomize-controller (kubectl -n flux-system logs deployment/kustomize-controller), then run `recover resume`',
      }
    default:
      return {
        code: 'application-sync-failed',
        blame: 'host',
        message: `Flux could not apply ${name}: ${says}`,
        remedy: 'Mend what the message names, then run `recover resume`',
        push: 'sync',
        ...lasting,
      }
  }
}

/** The merge patch that makes Flux reconcile at once, as `flux reconcile kustomization` does. */
export function requestPatch(now: string): object {
  return { metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': now } } }
}

function conditionOf(live: KubernetesObject, type: string) {
  return ((live.status ?? {}) as Status).conditions?.find(c => c.type === type)
}
