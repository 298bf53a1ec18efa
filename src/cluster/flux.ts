import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { FoundObject } from './found-objects.ts'
import { kustomizationOf, type Rendered, renderLocal } from './kustomization.ts'

/**
 * What Flux makes of a folder, as far as the repository itself holds it: its kustomization, or, where it has none, every
 * manifest in it and below, folders with a kustomization as that says
 * (https://fluxcd.io/flux/components/kustomize/kustomizations/#generating-a-kustomizationyaml-file).
 */
export function renderFluxFolder(folder: string, root: string): Rendered {
  if (kustomizationOf(folder)) return renderLocal(folder, root)
  const own = renderLocal(folder, root)
  const below = readdirSync(folder)
    .sort()
    .map(name => join(folder, name))
    .filter(path => !path.includes('/.') && existsSync(path) && statSync(path).isDirectory())
    .map(path => renderFluxFolder(path, root))
  return {
    objects: [own, ...below].flatMap(r => r.objects),
    remote: [own, ...below].flatMap(r => r.remote),
    missing: [own, ...below].flatMap(r => r.missing),
    includes: own.includes,
  }
}

/** A Kustomization of Flux's, which is an object, unlike kustomize's own file of that name. */
export function isFluxKustomization({ apiVersion, kind }: Pick<FoundObject, 'apiVersion' | 'kind'>): boolean {
  return kind === 'Kustomization' && apiVersion.startsWith('kustomize.toolkit.fluxcd.io/')
}

interface Spec {
  path?: string | null
  targetNamespace?: string | null
  dependsOn?: { name: string; namespace?: string }[]
  sourceRef?: { kind?: string; name?: string; namespace?: string }
}

/** What recover needs of a Flux Kustomization's spec. */
export function fluxSpec(manifest: Record<string, unknown>): {
  path: string
  /** Namespace that everything in it gets. */
  target: string | undefined
  /** Names of Kustomizations that must be ready before it. */
  dependsOn: string[]
  source: { kind: string; name: string }
} {
  const { path, targetNamespace, dependsOn, sourceRef } = (manifest.spec ?? {}) as Spec
  return {
    path: (path ?? '').replace(/^\.\//, '').replace(/\/$/, ''),
    target: targetNamespace ?? undefined,
    dependsOn: (dependsOn ?? []).map(d => d.name),
    source: { kind: sourceRef?.kind ?? 'GitRepository', name: sourceRef?.name ?? 'flux-system' },
  }
}
