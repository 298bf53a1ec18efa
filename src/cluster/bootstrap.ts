import { relative } from 'node:path'
import type { ConflictPolicy } from '../kubernetes/field-owners.ts'
import type { Proof } from '../kubernetes/proof.ts'
import { bootstrapFolders } from './applications.ts'
import { type FoundObject, objectsOfFile } from './found-objects.ts'
import { type RemoteDependency, renderLocal } from './kustomization.ts'
import type { ClusterFile } from './schema.ts'

/** A Secret that only the person can give; it names where the values come from and holds none. */
export interface GivenSecret {
  namespace: string
  name: string
  type: string
  /** Key to where its value comes from. */
  data: Record<string, { secret: string; field: string }>
}

/** One part of the bootstrap: the network, the secrets, Argo CD; applied in this order. */
export interface BootstrapPart {
  name: string
  /** Who is right where its manifests and somebody else want a field to be different. */
  conflicts: ConflictPolicy
  /** Secrets that are made before it, from the person's own sources. */
  secrets: GivenSecret[]
  /** What must be seen before it counts as done. */
  proof: Proof[]
  /** Its manifests, rendered; or the folder of the kustomization that must be rendered first. */
  from:
    | { file: string; objects: FoundObject[] }
    | { folder: string; objects: FoundObject[]; remote: RemoteDependency[] }
}

/** The bootstrap as recover.yaml names it: rendered files, or a kustomization whose folders are the parts. */
export function bootstrapOf(entry: ClusterFile, resolve: (path: string) => string): BootstrapPart[] {
  const { bootstrap } = entry.gitops
  const root = resolve(entry.gitops.repository)
  if (typeof bootstrap !== 'string')
    return bootstrap.map(part => ({
      name: part.name,
      conflicts: part.conflicts ?? 'by-manager',
      secrets: (part.secrets ?? []).map(givenSecret),
      proof: (part.proof ?? []).map(proofOf),
      from: sourceOf(part, resolve, root),
    }))
  return bootstrapFolders(resolve(bootstrap)).map(folder => {
    const { objects, remote } = renderLocal(folder, root)
    return {
      name: relative(root, folder).split('/').at(-1) ?? folder,
      conflicts: 'by-manager',
      secrets: [],
      proof: [],
      from: { folder, objects, remote },
    }
  })
}

function sourceOf(
  part: { rendered?: string | undefined; kustomize?: string | undefined },
  resolve: (path: string) => string,
  root: string,
): BootstrapPart['from'] {
  if (part.kustomize !== undefined) {
    const folder = resolve(part.kustomize)
    const { objects, remote } = renderLocal(folder, root)
    return { folder, objects, remote }
  }
  if (part.rendered === undefined) return { file: '', objects: [] }
  const file = resolve(part.rendered)
  return { file, objects: objectsOfFile(file, part.rendered) }
}

type PartEntry = Exclude<ClusterFile['gitops']['bootstrap'], string>[number]

function givenSecret({ secret, type, data }: NonNullable<PartEntry['secrets']>[number]): GivenSecret {
  const [namespace = '', name = ''] = secret.split('/')
  return {
    namespace,
    name,
    type: type ?? 'Opaque',
    data: Object.fromEntries(
      Object.entries(data).map(([key, from]) => {
        const dot = from.indexOf('.')
        return [key, { secret: from.slice(0, dot), field: from.slice(dot + 1) }]
      }),
    ),
  }
}

function proofOf(proof: NonNullable<PartEntry['proof']>[number]): Proof {
  if (!('secret' in proof)) return proof
  const [namespace = '', name = ''] = proof.secret.split('/')
  return { apiVersion: 'v1', kind: 'Secret', namespace, name, ...(proof.key ? { key: proof.key } : {}) }
}

/** The namespace of the part that is 1Password Connect; its chart's default where the manifests do not say. */
export function onePasswordNamespace(parts: BootstrapPart[]): string | undefined {
  const part = parts.find(p => /1password|onepassword/i.test(p.name))
  if (!part) return undefined
  const { objects } = part.from
  const namespace = objects.find(o => o.kind === 'Namespace')?.name
  return namespace ?? objects.find(o => o.namespace !== undefined)?.namespace ?? '1password'
}
