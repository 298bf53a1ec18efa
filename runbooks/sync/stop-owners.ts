import { z } from 'zod'
import { type KubernetesObject, type KubernetesReader, showRef } from '../../src/kubernetes/kubernetes.ts'
import { done, due } from '../../src/runbook/step.ts'
import { isStopped, stopPatch, stoppable } from '../../src/volumes/workloads.ts'
import { step } from '../kit.ts'
import { holdBack, looseOnes } from './hold.ts'
import { holdParents } from './hold-parents.ts'
import { eachOwners } from './look-at-claims.ts'
import type { Owners } from './moves.ts'
import { sameCluster } from './same-cluster.ts'
import { usersNow } from './users.ts'

/** Nobody writes to a claim while it is copied: who brings its owners is held back, and they are stopped. */
export const stopOwners = step({
  id: 'protect/stop-owners',
  title: group => `Stop what uses ${group.claims.join(', ')}`,
  byHand:
    'Hold the Application back (argocd.argoproj.io/skip-reconcile=true; flux suspend), write down the replicas, and kubectl scale --replicas=0; wait until no pod is left.',
  each: eachOwners,
  needs: [holdParents],
  danger: 'changes',
  bounds: { expected: '30s', limit: '15m' },
  retry: { times: 4, delay: '3s' },
  holdsUntil: 'release/owners',
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe(look) {
    sameCluster(look)
    const { owners, kubernetes } = look
    const loose = await looseOnes(owners.applications, kubernetes)
    const running = (await workloadsOf(owners, kubernetes)).filter(w => !isStopped(w))
    const users = await usersNow(kubernetes, owners.claims)
    if (loose.length + running.length + users.length > 0)
      return due(
        ...loose.map(a => `hold ${a.name} back`),
        ...running.map(w => `stop ${nameOf(w)}`),
        ...(running.length === 0 ? users.map(u => `wait for ${u} to end`) : []),
      )
    return done({}, `nothing runs that uses ${owners.claims.join(', ')}`)
  },
  async apply({ owners, kubernetes, run, wait }) {
    await holdBack(owners.applications, kubernetes, run.id)
    for (const workload of await workloadsOf(owners, kubernetes)) {
      const patch = stopPatch(workload, run.id)
      if (patch) await kubernetes.patch(refTo(workload), patch)
    }
    await wait(`the pods that use ${owners.claims.join(', ')} to end`, async () =>
      (await usersNow(kubernetes, owners.claims)).length === 0 ? true : undefined,
    )
  },
})

/** The workloads of a group as they are now; one that is gone uses nothing. */
export async function workloadsOf(
  { workloads }: Owners,
  kubernetes: KubernetesReader,
): Promise<KubernetesObject[]> {
  const found: KubernetesObject[] = []
  for (const { kind, namespace, name } of workloads) {
    const live = await kubernetes.get({ apiVersion: stoppable[kind], kind, namespace, name })
    if (live) found.push({ ...live, apiVersion: stoppable[kind], kind })
  }
  return found
}

/** Where a workload stands. */
export function refTo({ apiVersion, kind, metadata }: KubernetesObject) {
  return { apiVersion, kind, namespace: metadata.namespace, name: metadata.name ?? '' }
}

function nameOf(workload: KubernetesObject): string {
  return showRef(refTo(workload))
}
