import { deliveryBy } from '../../src/gitops/delivery.ts'
import type { KubernetesObject, KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { knownApplications } from '../applications/each-application.ts'
import type { Readers } from '../kit.ts'
import type { Bringer } from './moves.ts'

type Look = Pick<Readers, 'cluster'> & { kubernetes: KubernetesReader }

/** Who brings these workloads and claims, by Git and by what Argo CD and Flux note on what they bring. Only living ones. */
export async function bringersOf(
  claims: readonly string[],
  workloads: readonly KubernetesObject[],
  look: Look,
): Promise<Bringer[]> {
  const inGit = knownApplications(look.cluster).filter(a => a.claims.some(c => claims.includes(c)))
  return living([...inGit, ...workloads.flatMap(w => notedOn(w, look.cluster))], look)
}

/** Who brings those in turn, up to the one that nobody brings: each would take the mark off what it brings. */
export async function parentsOf(children: readonly Bringer[], look: Look): Promise<Bringer[]> {
  const found: Bringer[] = []
  let below = [...children]
  while (below.length > 0) {
    const above: Bringer[] = []
    for (const child of below) {
      const live = await look.kubernetes.get(refTo(child))
      above.push(
        ...knownApplications(look.cluster).filter(a =>
          look.cluster.applications.some(p => p.name === a.name && p.brings.includes(child.name)),
        ),
        ...(live ? notedOn(live, look.cluster) : []),
      )
    }
    const known = [...children, ...found]
    below = (await living(above, look)).filter(a => !known.some(k => same(k, a)))
    found.push(...below)
  }
  return found
}

/** The object that stands for one in the cluster. */
export function refTo({ name, namespace, by }: Bringer) {
  return { ...deliveryBy(by).kind, namespace, name }
}

/** Applications that an ApplicationSet makes: its controller writes them anew, the mark with them. */
export async function madeBySets(all: readonly Bringer[], { kubernetes }: Look): Promise<string[]> {
  const made: string[] = []
  for (const one of all) {
    const live = await kubernetes.get(refTo(one))
    const owners = (live?.metadata.ownerReferences ?? []) as { kind: string; name: string }[]
    const set = owners.find(o => o.kind === 'ApplicationSet')
    if (set === undefined) continue
    const controller = await kubernetes.get({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      namespace: one.namespace,
      name: 'argocd-applicationset-controller',
    })
    if ((controller?.spec as { replicas?: number } | undefined)?.replicas !== 0)
      made.push(`${one.name} (by ${set.name})`)
  }
  return made
}

/** Argo CD and Flux write on each object whose it is. */
function notedOn({ metadata }: KubernetesObject, cluster: Readers['cluster']): Bringer[] {
  const { labels = {}, annotations = {} } = metadata
  const tracked =
    annotations['argocd.argoproj.io/tracking-id']?.split(':')[0] ?? labels['argocd.argoproj.io/instance']
  const kustomization = labels['kustomize.toolkit.fluxcd.io/name']
  return [
    ...(tracked === undefined
      ? []
      : [{ name: tracked, namespace: namespaceOf(tracked, cluster, 'argocd'), by: 'argocd' as const }]),
    ...(kustomization === undefined
      ? []
      : [
          {
            name: kustomization,
            namespace: labels['kustomize.toolkit.fluxcd.io/namespace'] ?? 'flux-system',
            by: 'flux' as const,
          },
        ]),
  ]
}

function namespaceOf(name: string, { applications }: Readers['cluster'], otherwise: string): string {
  return applications.find(a => a.name === name)?.namespace ?? otherwise
}

async function living(all: readonly Bringer[], { kubernetes }: Look): Promise<Bringer[]> {
  const found: Bringer[] = []
  for (const { name, namespace, by } of all) {
    const one = { name, namespace, by }
    if (!found.some(f => same(f, one)) && (await kubernetes.get(refTo(one)))) found.push(one)
  }
  return found
}

function same(a: Bringer, b: Bringer): boolean {
  return a.by === b.by && a.name === b.name && a.namespace === b.namespace
}
