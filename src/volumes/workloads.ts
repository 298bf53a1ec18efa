import type { KubernetesObject } from '../kubernetes/kubernetes.ts'

/** Kinds of workloads that can be stopped and started again without losing what they are. */
export const stoppable = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  CronJob: 'batch/v1',
} as const
export type StoppableKind = keyof typeof stoppable

/** Who stopped a workload, and how many pods it had before: on the workload itself, in the very write that stops it. */
const mark = 'recover.dev/stopped'

interface PodSpec {
  volumes?: { persistentVolumeClaim?: { claimName?: string } }[]
}

/** Names of the claims that a workload's pods mount. */
export function claimsMountedBy({ kind, metadata, spec }: KubernetesObject): string[] {
  const {
    template,
    jobTemplate,
    volumeClaimTemplates = [],
  } = (spec ?? {}) as {
    template?: { spec?: PodSpec }
    jobTemplate?: { spec?: { template?: { spec?: PodSpec } } }
    volumeClaimTemplates?: { metadata?: { name?: string } }[]
  }
  const pod = kind === 'Pod' ? (spec as PodSpec) : (template?.spec ?? jobTemplate?.spec?.template?.spec)
  const named = (pod?.volumes ?? []).flatMap(v => v.persistentVolumeClaim?.claimName ?? [])
  // Ordinals that are not there now may have left their claims behind: all that a set could have are its own.
  const ordinals = kind === 'StatefulSet' ? Math.max(replicasOf({ spec }), stoppedReplicas(metadata) ?? 0) : 0
  return [
    ...named,
    ...volumeClaimTemplates.flatMap(t =>
      Array.from({ length: ordinals }, (_, i) => `${t.metadata?.name}-${metadata.name}-${i}`),
    ),
  ]
}

/** Whether a workload wants no pods. */
export function isStopped(live: KubernetesObject): boolean {
  return live.kind === 'CronJob'
    ? (live.spec as { suspend?: boolean } | undefined)?.suspend === true
    : replicasOf(live) === 0
}

/** The merge patch that stops a workload and notes what it was; undefined where it is stopped. */
export function stopPatch(live: KubernetesObject, run: string): object | undefined {
  if (isStopped(live)) return undefined
  const was = live.kind === 'CronJob' ? 1 : replicasOf(live)
  return {
    metadata: { annotations: { [mark]: `${run} ${was}` } },
    spec: live.kind === 'CronJob' ? { suspend: true } : { replicas: 0 },
  }
}

/** The merge patch that starts again what this run stopped; undefined for what it did not stop. */
export function startPatch(live: KubernetesObject, run: string): object | undefined {
  const [by, was] = live.metadata.annotations?.[mark]?.split(' ') ?? []
  if (by !== run) return undefined
  return {
    metadata: { annotations: { [mark]: null } },
    spec: live.kind === 'CronJob' ? { suspend: false } : { replicas: Number(was) },
  }
}

/** Whether all pods that it wants are ready. */
export function isUp(live: KubernetesObject): boolean {
  const { readyReplicas = 0 } = (live.status ?? {}) as { readyReplicas?: number }
  return live.kind === 'CronJob' || readyReplicas >= replicasOf(live)
}

/** A pod that may still write: one that is over does not. */
export function isAtWork(pod: KubernetesObject): boolean {
  const phase = (pod.status as { phase?: string } | undefined)?.phase
  return phase !== 'Succeeded' && phase !== 'Failed'
}

function replicasOf(live: { spec?: unknown; [key: string]: unknown }): number {
  return (live.spec as { replicas?: number } | undefined)?.replicas ?? 1
}

function stoppedReplicas(metadata: KubernetesObject['metadata']): number | undefined {
  const was = metadata.annotations?.[mark]?.split(' ')[1]
  return was === undefined ? undefined : Number(was)
}
