import type { KubernetesObject } from '../../blueprint.ts'
import { mergeApplied } from '../fields.ts'
import { groupVersionOf } from '../resources.ts'
import type { ObjectStore } from '../store.ts'
import type { Stored } from '../stored.ts'
import { dig } from './context.ts'

/** Whether a live object is the one that Git means. */
export function sameObject(store: ObjectStore, desired: KubernetesObject, live: Stored): boolean {
  const type = store.type(desired.apiVersion, desired.kind)
  return (
    type !== undefined &&
    groupVersionOf(type) === desired.apiVersion &&
    live.kind === desired.kind &&
    live.metadata.name === desired.metadata.name &&
    live.metadata.namespace === desired.metadata.namespace
  )
}

/** The live object that Git means. */
export function find(store: ObjectStore, desired: KubernetesObject): Stored | undefined {
  const resource = store.type(desired.apiVersion, desired.kind)
  return (
    resource &&
    store.find({ resource, namespace: desired.metadata.namespace, name: String(desired.metadata.name) })
  )
}

// What is kept is never changed in place: the same two objects compare the same.
const compared = new WeakMap<KubernetesObject, { live: Stored; same: boolean }>()

/** Whether applying what Git says would change nothing. */
export function inSync(store: ObjectStore, desired: KubernetesObject): boolean {
  const live = find(store, desired)
  if (!live) return false
  const before = compared.get(desired)
  if (before?.live === live) return before.same
  const { status: _, ...wanted } = desired
  const same = JSON.stringify(mergeApplied(live, wanted)) === JSON.stringify(live)
  compared.set(desired, { live, same })
  return same
}

/** Its sync wave; 0 where it names none. */
export function waveOf(object: KubernetesObject): number {
  return Number(dig(object, 'metadata', 'annotations', 'argocd.argoproj.io/sync-wave') ?? 0)
}

/** Whether its sync options hold this one. */
export function says(object: KubernetesObject, option: string): boolean {
  const options = dig<string>(object, 'metadata', 'annotations', 'argocd.argoproj.io/sync-options') ?? ''
  return options.split(',').some(o => o.trim() === option)
}

/** PreSync, Sync, PostSync …, of an object that is no part of the application but done at its sync. */
export function hookOf(object: KubernetesObject): string | undefined {
  return dig<string>(object, 'metadata', 'annotations', 'argocd.argoproj.io/hook')
}

/** The group of an object's kind; empty for the core group. */
export function groupOf({ apiVersion }: KubernetesObject): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''
}

/** As Argo CD names an object in its messages: `apps/Deployment/web`. */
export function shown(object: KubernetesObject): string {
  return `${groupOf(object)}/${object.kind}/${object.metadata.name}`
}
