import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fluxSpec, isFluxKustomization, renderFluxFolder } from './flux.ts'
import type { FoundObject } from './found-objects.ts'
import { renderLocal } from './kustomization.ts'
import { get } from './manifest-fields.ts'

/** How Flux keeps a repository, as `flux bootstrap` wrote it there. */
export interface FluxFound {
  /** The folder that brings Flux itself, relative to the repository: `clusters/home/flux-system`. */
  bootstrap: string
  /** The folder from which all its Kustomizations come: `clusters/home`. */
  folder: string
  /** Names of those Kustomizations. */
  names: string[]
  source: { apiVersion: string; kind: string; namespace: string; name: string; url: string | undefined }
  /** Secret with the login to the repository, as `namespace/name`, where one is named. */
  login: string | undefined
  /** Secrets that open what is encrypted in Git, likewise. */
  keys: string[]
}

/**
 * Finds the Kustomization that brings its own folder and all others, beside the source that it names. Undefined where
 * there is none, or more than one and nobody can say whose cluster this is.
 * @param folders of kustomizations, relative to `root`
 */
export function fluxIn(folders: readonly string[], root: string): FluxFound | undefined {
  const found = folders.flatMap(bootstrap => {
    const { objects } = renderLocal(join(root, bootstrap), root)
    return objects.filter(isFluxKustomization).flatMap(object => firstOf(object, objects, bootstrap, root))
  })
  return found.length === 1 ? found[0] : undefined
}

function firstOf(object: FoundObject, beside: FoundObject[], bootstrap: string, root: string): FluxFound[] {
  const { path, source } = fluxSpec(object.value)
  const inside = bootstrap === path || bootstrap.startsWith(`${path}/`)
  const from = beside.find(o => o.kind === source.kind && o.name === source.name)
  if (path === '' || !inside || from === undefined || !existsSync(join(root, path))) return []
  const namespace = from.namespace ?? 'flux-system'
  const url = get(from.value, 'spec', 'url')
  const login = get(from.value, 'spec', 'secretRef', 'name')
  const all = renderFluxFolder(join(root, path), root).objects.filter(isFluxKustomization)
  const keys = all.flatMap(k => {
    const name = get(k.value, 'spec', 'decryption', 'secretRef', 'name')
    return typeof name === 'string' ? [`${k.namespace ?? 'flux-system'}/${name}`] : []
  })
  return [
    {
      bootstrap,
      folder: path,
      names: all.map(k => k.name),
      source: {
        apiVersion: from.apiVersion,
        kind: from.kind,
        namespace,
        name: from.name,
        url: typeof url === 'string' ? url : undefined,
      },
      login: typeof login === 'string' ? `${namespace}/${login}` : undefined,
      keys: [...new Set(keys)],
    },
  ]
}
