import { isDelivery } from '../../src/gitops/delivery.ts'
import { type KubernetesObject, refOf, showRef } from '../../src/kubernetes/kubernetes.ts'
import type { Readers } from '../kit.ts'

type Applications = Pick<Readers['cluster'], 'applications' | 'applicationSets'>

/**
 * What a part of the bootstrap is applied without: Applications, ApplicationSets and Flux's Kustomizations among its
 * objects, which would start everything from Git at once. Those are held, and released in their turn.
 */
export function appliedOf(cluster: Applications, objects: KubernetesObject[]): KubernetesObject[] {
  return objects.filter(o => !isDelivery(o) || !isKnown(cluster, o))
}

/** Those of which nobody would know how to hold them, as a person names them. */
export function unknownDeliveries(cluster: Applications, objects: KubernetesObject[]): string[] {
  return objects.filter(o => isDelivery(o) && !isKnown(cluster, o)).map(o => showRef(refOf(o)))
}

function isKnown(
  { applications, applicationSets }: Applications,
  { kind, metadata }: KubernetesObject,
): boolean {
  return (
    applications.some(a => a.manifest.kind === kind && a.name === metadata.name) ||
    applicationSets.some(set => set.kind === kind && set.metadata.name === metadata.name)
  )
}
