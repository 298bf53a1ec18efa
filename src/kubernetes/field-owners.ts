import type { KubernetesObject } from './kubernetes.ts'

/** Who is right where a manifest and somebody else want a field to be different. */
export const conflictPolicies = ['by-manager', 'take', 'leave', 'stop'] as const
export type ConflictPolicy = (typeof conflictPolicies)[number]

/**
 * Managers through which people and tools of deployment write what they read from a manifest, too: their word is worth
 * no more than the one that is applied now. Everybody else is a controller that changes what it looks after for a reason.
 */
const tools =
  /^(kubectl|helm|argocd|kustomize|flux|k9s|Lens|node-fetch|Mozilla|freelens|headlamp|OpenAPI-Generator|HashiCorp|[Tt]erraform|opentofu|pulumi|ansible|python-requests|curl|k0s|before-first-apply|recover|Go-http-client)/

/** Whether a field of this manager's is left to it. */
export function isLeftTo(manager: string, policy: ConflictPolicy): boolean {
  if (policy === 'by-manager') return !tools.test(manager)
  return policy === 'leave'
}

/**
 * The object without some fields, as server-side apply's conflicts name them: `.data.a.b`,
 * `.spec.template.spec.containers[name="agent"].image`, `.metadata.finalizers[="x"]`. Names with dots are told from
 * paths by looking which are there.
 */
export function withoutFields(object: KubernetesObject, fields: readonly string[]): KubernetesObject {
  const copy = structuredClone(object)
  for (const field of fields) remove(copy, field)
  return copy
}

function remove(here: unknown, path: string): boolean {
  if (Array.isArray(here)) {
    const [whole, inside = ''] = /^\[((?:[^\]"]|"(?:[^"\\]|\\.)*")*)\]/.exec(path) ?? []
    if (whole === undefined) return false
    const index = here.findIndex((item, i) => fits(item, inside, i))
    if (index < 0) return false
    const rest = path.slice(whole.length)
    if (rest !== '') return remove(here[index], rest)
    here.splice(index, 1)
    return true
  }
  if (typeof here !== 'object' || here === null || !path.startsWith('.')) return false
  const map = here as Record<string, unknown>
  // The longest name that fits: `a.b` before `a`.
  const names = Object.keys(map)
    .filter(name => {
      const rest = path.slice(1 + name.length)
      return path.startsWith(`.${name}`) && (rest === '' || /^[.[]/.test(rest))
    })
    .sort((a, b) => b.length - a.length)
  for (const name of names) {
    const rest = path.slice(1 + name.length)
    if (rest === '') {
      delete map[name]
      return true
    }
    if (remove(map[name], rest)) return true
  }
  return false
}

function fits(item: unknown, inside: string, index: number): boolean {
  if (inside.startsWith('=')) return JSON.stringify(item) === inside.slice(1)
  if (/^\d+$/.test(inside)) return Number(inside) === index
  const wanted = [...inside.matchAll(/(\w+)=("(?:[^"\\]|\\.)*"|[^,]+)/g)]
  return (
    wanted.length > 0 &&
    wanted.every(([, key = '', value = '']) => {
      const has = (item as Record<string, unknown> | null)?.[key] ?? (key === 'protocol' ? 'TCP' : undefined)
      return JSON.stringify(has) === value
    })
  )
}
