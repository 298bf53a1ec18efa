import { type Hold, holdOf } from '../../src/cluster/hold.ts'
import type { Cluster } from '../../src/cluster/load.ts'
import { releaseOrder } from '../../src/cluster/release-order.ts'
import { type KnownApplication, knownApplication } from '../../src/gitops/application.ts'
import { delivererOf } from '../../src/gitops/delivery.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { fanOut } from '../kit.ts'

/** Every Application (Argo CD) or Kustomization (Flux) of the cluster. */
export const eachApplication = fanOut({
  name: 'application',
  schema: knownApplication,
  key: application => application.name,
  subjects: ({ cluster }) => knownApplications(cluster),
})

/** Every Application with whether it is held and what comes before it. */
export function knownApplications(cluster: Pick<Cluster, 'applications' | 'entry'>): KnownApplication[] {
  const said = new Map(Object.entries(cluster.entry.applications ?? {}))
  const holds = new Map<string, Hold>(
    cluster.applications.map(a => [a.name, holdOf(a, said.get(a.name)?.hold)]),
  )
  const held = cluster.applications.filter(a => holds.get(a.name)!.held)
  const order = releaseOrder(
    held,
    new Map(
      cluster.applications.map(a => [a.name, [...new Set([...a.after, ...(said.get(a.name)?.after ?? [])])]]),
    ),
  )
  return cluster.applications.map(({ name, namespace, path, owned, parent, storage, manifest }) => ({
    name,
    namespace,
    by: delivererOf(manifest as unknown as KubernetesObject) ?? 'argocd',
    path,
    claims: [...new Set(owned.map(o => o.claim))],
    parent,
    storage,
    ...holds.get(name)!,
    after: order.get(name) ?? [],
  }))
}
