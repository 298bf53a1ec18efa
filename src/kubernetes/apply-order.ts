import type { KubernetesObject } from './kubernetes.ts'

/** What others need first. What stands in no row comes after all of them, in the order of its file. */
const first = [
  ['Namespace', 'PriorityClass'],
  ['CustomResourceDefinition'],
  ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'],
  ['ConfigMap', 'Secret', 'StorageClass', 'IngressClass', 'RuntimeClass', 'CSIDriver'],
]

/** What stands between the API server and everybody else: it must not be there before the pods that answer for it. */
const last = ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration', 'APIService']

/** Objects in groups that are applied one after the other; what stands in one group waits for nothing in it. */
export function groupsForApply<T extends KubernetesObject>(objects: readonly T[]): T[][] {
  const groups: T[][] = Array.from({ length: first.length + 2 }, () => [])
  for (const object of objects) {
    const early = first.findIndex(kinds => kinds.includes(object.kind))
    const place = early >= 0 ? early : last.includes(object.kind) ? first.length + 1 : first.length
    groups[place]?.push(object)
  }
  return groups.filter(group => group.length > 0)
}

/** The same as one list. */
export function orderForApply<T extends KubernetesObject>(objects: readonly T[]): T[] {
  return groupsForApply(objects).flat()
}
