import { createHash } from 'node:crypto'
import type { KubernetesObject } from './kubernetes.ts'

/** Annotation with the hash of the manifest that was applied: how a later look knows that this very text is in force. */
export const manifestHash = 'recover.dev/manifest-sha256'

// What others need first; everything else keeps its place in the file.
const order = ['Namespace', 'CustomResourceDefinition', 'ServiceAccount', 'Secret', 'ConfigMap']

/** Objects in the order in which they can be applied. */
export function orderForApply<T extends KubernetesObject>(objects: T[]): T[] {
  const rank = (kind: string) => (order.includes(kind) ? order.indexOf(kind) : order.length)
  return [...objects].sort((a, b) => rank(a.kind) - rank(b.kind))
}

/** The object with the hash of its own text as an annotation. */
export function stamped(object: KubernetesObject): KubernetesObject {
  const hash = createHash('sha256').update(JSON.stringify(object)).digest('hex').slice(0, 32)
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [manifestHash]: hash } },
  }
}
