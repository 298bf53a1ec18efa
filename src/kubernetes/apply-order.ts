import type { KubernetesObject } from './kubernetes.ts'

// What others need first; everything else keeps its place in the file.
const order = ['Namespace', 'CustomResourceDefinition', 'ServiceAccount', 'Secret', 'ConfigMap']

/** Objects in the order in which they can be applied. */
export function orderForApply<T extends KubernetesObject>(objects: T[]): T[] {
  const rank = (kind: string) => (order.includes(kind) ? order.indexOf(kind) : order.length)
  return [...objects].sort((a, b) => rank(a.kind) - rank(b.kind))
}
