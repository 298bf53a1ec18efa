import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import {
  type ApplicationState,
  held as annotated,
  applicationKind,
  holding,
  isHeldBack as isAnnotated,
  type Push,
  pushPatch,
  stateOf,
} from './argocd.ts'
import { type Ailment, diagnose } from './diagnosis.ts'
import {
  diagnoseFlux,
  fluxKind,
  fluxState,
  isSuspended,
  requestPatch,
  suspended,
  suspending,
} from './flux.ts'

/** Who brings applications from Git into the cluster. */
export const deliverers = ['argocd', 'flux'] as const
export type Deliverer = (typeof deliverers)[number]

/** How one of them is held, let go, read and urged. */
interface Delivery {
  /** As a person calls it. */
  name: string
  kind: { apiVersion: string; kind: string }
  /** An application as it stands in Git, with the mark by which it is left alone. */
  hold(manifest: KubernetesObject): KubernetesObject
  /** Merge patches of a living one: with the mark, and without it. */
  patches: { hold: object; letGo: object }
  /** Whether the live one bears the mark. */
  isHeld(live: KubernetesObject): boolean
  state(live: KubernetesObject): ApplicationState
  diagnose(name: string, live: KubernetesObject): Ailment | undefined
  push(live: KubernetesObject, push: Push): object
}

const argocd: Delivery = {
  name: 'Argo CD',
  kind: applicationKind,
  hold: annotated,
  patches: holding,
  isHeld: isAnnotated,
  state: stateOf,
  diagnose: (name, live) => diagnose(name, stateOf(live)),
  push: pushPatch,
}

const flux: Delivery = {
  name: 'Flux',
  kind: fluxKind,
  hold: suspended,
  patches: suspending,
  isHeld: isSuspended,
  state: fluxState,
  diagnose: diagnoseFlux,
  push: () => requestPatch(new Date().toISOString()),
}

/** The way of one deliverer. */
export function deliveryBy(by: Deliverer): Delivery {
  return by === 'flux' ? flux : argocd
}

/** Who would bring this object's applications; undefined for what is no application. */
export function delivererOf({
  apiVersion,
  kind,
}: {
  apiVersion: string
  kind: string
}): Deliverer | undefined {
  if (kind === 'Kustomization' && apiVersion.startsWith('kustomize.toolkit.fluxcd.io/')) return 'flux'
  return kind === 'Application' && apiVersion.startsWith('argoproj.io/') ? 'argocd' : undefined
}

/** Whether applying it makes somebody bring applications from Git. */
export function isDelivery(object: { apiVersion: string; kind: string }): boolean {
  const isSet = object.kind === 'ApplicationSet' && object.apiVersion.startsWith('argoproj.io/')
  return isSet || delivererOf(object) !== undefined
}
