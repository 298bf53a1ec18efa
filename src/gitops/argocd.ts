import type { KubernetesObject } from '../kubernetes/kubernetes.ts'

export const applicationKind = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Application' } as const

/** Alpha, but whole: nothing of the Application is touched, not even its status, and operations are left standing. */
const hold = 'argocd.argoproj.io/skip-reconcile'

/** Health and sync of an Application, as its status tells. */
export interface ApplicationState {
  held: boolean
  sync: string
  health: string
  /** What the last operation or comparison complained of. */
  complaint: string
}

/** An Application as it stands in Git, held: Argo CD leaves it alone until it is applied without the mark. */
export function held(application: KubernetesObject): KubernetesObject {
  return withAnnotation(application, hold, 'true')
}

export function isHeldBack(live: KubernetesObject): boolean {
  return live.metadata.annotations?.[hold] === 'true'
}

export function stateOf(live: KubernetesObject): ApplicationState {
  const status = (live.status ?? {}) as {
    sync?: { status?: string }
    health?: { status?: string; message?: string }
    operationState?: { phase?: string; message?: string }
    conditions?: { type: string; message: string }[]
  }
  const failing = ['Failed', 'Error'].includes(status.operationState?.phase ?? '')
  const complaints = [
    ...(failing ? [status.operationState?.message] : []),
    ...(status.conditions ?? []).filter(c => c.type.endsWith('Error')).map(c => c.message),
    status.health?.message,
  ]
  return {
    held: isHeldBack(live),
    sync: status.sync?.status ?? 'Unknown',
    health: status.health?.status ?? 'Unknown',
    complaint: complaints.filter(Boolean).join('; '),
  }
}

function withAnnotation(object: KubernetesObject, name: string, value: string): KubernetesObject {
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [name]: value } },
  }
}
