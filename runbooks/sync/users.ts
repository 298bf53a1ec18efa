import type { KubernetesObject, KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { claimsMountedBy, isAtWork, stoppable } from '../../src/volumes/workloads.ts'

/** Who uses the claims of a cluster: what can be stopped, and pods that belong to nothing of the kind. */
export interface Users {
  /** By `namespace/claim`. */
  workloads: Map<string, KubernetesObject[]>
  /** Pods at work, each with what keeps it, by `namespace/claim`. */
  others: Map<string, string[]>
}

/** Finds every workload and every pod that mounts a claim. */
export async function usersOf(kubernetes: KubernetesReader): Promise<Users> {
  const lists = await Promise.all(
    Object.entries(stoppable).map(([kind, apiVersion]) => kubernetes.list({ apiVersion, kind })),
  )
  const workloads = new Map<string, KubernetesObject[]>()
  for (const workload of lists.flat())
    for (const claim of idsOf(workload))
      if (!(workloads.get(claim) ?? []).includes(workload))
        workloads.set(claim, [...(workloads.get(claim) ?? []), workload])
  const others = new Map<string, string[]>()
  for (const pod of await podsAtWork(kubernetes))
    for (const claim of idsOf(pod)) {
      const keeper = await keeperOf(pod, kubernetes)
      const known = (workloads.get(claim) ?? []).some(
        w => `${w.kind} ${w.metadata.namespace}/${w.metadata.name}` === keeper,
      )
      if (!known) others.set(claim, [...new Set([...(others.get(claim) ?? []), keeper])])
    }
  return { workloads, others }
}

/** Pods that are at work on a claim, by name; this run's own Jobs are none. */
export async function usersNow(kubernetes: KubernetesReader, claims: readonly string[]): Promise<string[]> {
  return (await podsAtWork(kubernetes))
    .filter(pod => idsOf(pod).some(id => claims.includes(id)))
    .map(pod => `Pod ${pod.metadata.namespace}/${pod.metadata.name}`)
}

async function podsAtWork(kubernetes: KubernetesReader): Promise<KubernetesObject[]> {
  const pods = await kubernetes.list({ apiVersion: 'v1', kind: 'Pod' })
  return pods.filter(pod => isAtWork(pod) && pod.metadata.labels?.['recover.dev/job'] === undefined)
}

function idsOf(object: KubernetesObject): string[] {
  return claimsMountedBy(object).map(name => `${object.metadata.namespace}/${name}`)
}

/** What makes a pod anew when it goes: through its ReplicaSet or Job, where it has one. */
async function keeperOf(pod: KubernetesObject, kubernetes: KubernetesReader): Promise<string> {
  let at = pod
  for (;;) {
    const owners = (at.metadata.ownerReferences ?? []) as {
      apiVersion: string
      kind: string
      name: string
      controller?: boolean
    }[]
    const owner = owners.find(o => o.controller)
    const namespace = pod.metadata.namespace ?? ''
    if (owner === undefined) return `${at.kind ?? 'Pod'} ${namespace}/${at.metadata.name}`
    const found =
      owner.kind === 'ReplicaSet' || owner.kind === 'Job'
        ? await kubernetes.get({
            apiVersion: owner.apiVersion,
            kind: owner.kind,
            namespace,
            name: owner.name,
          })
        : undefined
    if (found === undefined) return `${owner.kind} ${namespace}/${owner.name}`
    at = { ...found, kind: owner.kind, apiVersion: owner.apiVersion }
  }
}
