import { wrongFields } from './manifest-shapes.ts'
import { ClusterFileFault } from './problem.ts'
import { readYaml, type YamlDocument } from './yaml-file.ts'

/** A Kubernetes object as a repository has it, with the place where it stands. */
export interface FoundObject {
  apiVersion: string
  kind: string
  name: string
  namespace: string | undefined
  /** What its file calls it, where a kustomization has given it another name or namespace. */
  origin?: { name: string; namespace: string | undefined }
  value: Record<string, unknown>
  at: string
}

/**
 * The objects of one manifest file; a `List` is taken apart, and what is no object of Kubernetes is left out.
 * @param shown the file, as problems name it
 * @throws ClusterFileFault with the place of each field that recover reads and that Kubernetes would not take either
 */
export function objectsOfFile(file: string, shown: string): FoundObject[] {
  return readYaml(file, shown).flatMap(document => objectsOf(document, shown))
}

/** The objects of one document, as {@link objectsOfFile} takes them. */
export function objectsOf(document: YamlDocument, shown: string): FoundObject[] {
  const items = itemsOf(document.value).filter(isObject)
  const wrong = items.flatMap(({ value, path }) =>
    wrongFields(value, field => document.at([...path, ...field])),
  )
  if (wrong.length > 0) throw new ClusterFileFault('cluster-file-invalid', wrong, shown)
  return items.map(({ value }) => {
    const metadata = value.metadata as { name?: string; namespace?: string | null } | undefined
    return {
      apiVersion: value.apiVersion,
      kind: value.kind,
      name: metadata?.name ?? '',
      namespace: metadata?.namespace ?? undefined,
      value,
      at: document.at(['kind']),
    }
  })
}

/**
 * What else made of an object than it should be: a patch, a template. Throws ClusterFileFault at the object's own place.
 */
export function mustBeWhole(value: Record<string, unknown>, at: string): void {
  const wrong = wrongFields(value, () => at)
  if (wrong.length > 0) throw new ClusterFileFault('cluster-file-invalid', wrong, at)
}

type Item = { value: Record<string, unknown>; path: PropertyKey[] }

function itemsOf(value: unknown): { value: unknown; path: PropertyKey[] }[] {
  const { kind, items } = (value ?? {}) as { kind?: unknown; items?: unknown }
  if (kind !== 'List' || !Array.isArray(items)) return [{ value, path: [] }]
  return items.map((item, i) => ({ value: item, path: ['items', i] }))
}

function isObject(item: { value: unknown; path: PropertyKey[] }): item is Item & {
  value: { apiVersion: string; kind: string }
} {
  const { apiVersion, kind } = (item.value ?? {}) as { apiVersion?: unknown; kind?: unknown }
  return typeof apiVersion === 'string' && typeof kind === 'string'
}
