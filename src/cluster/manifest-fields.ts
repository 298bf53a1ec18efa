import type { FoundObject } from './found-objects.ts'
import type { Claim } from './inventory.ts'
import { parseSize } from './size.ts'

/** The value at a path in a manifest, or undefined: a person's YAML has any shape. */
export function get(value: unknown, ...path: string[]): unknown {
  let here = value
  for (const key of path) here = (here as Record<string, unknown> | null | undefined)?.[key]
  return here
}

/** The text at a path; undefined where there is none. */
export function textAt(value: unknown, ...path: string[]): string | undefined {
  const found = get(value, ...path)
  return typeof found === 'string' ? found : undefined
}

/** The maps of what should be a list of them; empty where it is none. */
export function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(item => item !== null && typeof item === 'object') : []
}

/** What should be a list of texts; empty where it is none. */
export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

/** What should be a map of texts, such as labels. */
export function strings(value: unknown): Record<string, string> {
  if (value === null || typeof value !== 'object') return {}
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, String(v)]))
}

/** Bytes that a claim, or the template of one, asks for. */
export function claimSize(claim: unknown, at: string): number {
  return parseSize(String(get(claim, 'spec', 'resources', 'requests', 'storage') ?? '0'), at)
}

/** Names of the claims that a workload's pods mount. */
export function mountsOf(object: FoundObject): string[] {
  const pod =
    get(object.value, 'spec', 'template', 'spec') ??
    get(object.value, 'spec', 'jobTemplate', 'spec', 'template', 'spec') ??
    (object.kind === 'Pod' ? object.value.spec : undefined)
  return list(get(pod, 'volumes')).flatMap(volume => {
    const claim = get(volume, 'persistentVolumeClaim', 'claimName')
    return typeof claim === 'string' ? [claim] : []
  })
}

/** The claims of a StatefulSet's templates, each with the exact name by which the set finds it again. */
export function templateClaims(
  owner: FoundObject,
  folder: string,
  made: { set: string; replicas: unknown; templates: Record<string, unknown>[] },
): Claim[] {
  const namespace = owner.namespace ?? 'default'
  return made.templates.flatMap(template =>
    Array.from({ length: Number(made.replicas ?? 1) }, (_, ordinal): Claim => {
      const name = `${get(template, 'metadata', 'name')}-${made.set}-${ordinal}`
      return {
        id: `${namespace}/${name}`,
        namespace,
        name,
        sizeBytes: claimSize(template, owner.at),
        accessModes: texts(get(template, 'spec', 'accessModes')),
        storageClass: textAt(template, 'spec', 'storageClassName'),
        owners: [`${owner.kind} ${namespace}/${owner.name}`],
        folder,
        labels: strings(get(template, 'metadata', 'labels')),
        annotations: strings(get(template, 'metadata', 'annotations')),
        at: owner.at,
      }
    }),
  )
}
