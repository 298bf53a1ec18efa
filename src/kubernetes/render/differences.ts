import { type KubernetesObject, refOf, showRef } from '../kubernetes.ts'

/** One object that is not the same in two renderings. */
export interface ObjectDifference {
  object: string
  change: 'added' | 'removed' | 'changed'
  /** The leaves that differ: `spec.template.spec.containers.0.image: "a:1" → "a:2"`. Values of Secrets are not told. */
  fields: string[]
}

/** What became of the objects of one rendering in another. Same objects in another order are no difference. */
export function differences(before: KubernetesObject[], after: KubernetesObject[]): ObjectDifference[] {
  const key = (o: KubernetesObject) => `${o.apiVersion} ${showRef(refOf(o))}`
  const old = new Map(before.map(o => [key(o), o]))
  const now = new Map(after.map(o => [key(o), o]))
  const all = [...new Set([...old.keys(), ...now.keys()])]
  return all.flatMap((id): ObjectDifference[] => {
    const [one, other] = [old.get(id), now.get(id)]
    if (one === undefined) return [{ object: id, change: 'added', fields: [] }]
    if (other === undefined) return [{ object: id, change: 'removed', fields: [] }]
    const fields = leaves('', one, other, one.kind === 'Secret')
    return fields.length === 0 ? [] : [{ object: id, change: 'changed', fields }]
  })
}

function leaves(path: string, before: unknown, after: unknown, secret: boolean): string[] {
  if (isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys.flatMap(k =>
      leaves(path === '' ? k : `${path}.${k}`, before[k as never], after[k as never], secret),
    )
  }
  const [a, b] = [JSON.stringify(before), JSON.stringify(after)]
  if (a === b) return []
  if (secret && /^(data|stringData)\b/.test(path)) return [`${path}: another value`]
  return [`${path}: ${short(a)} → ${short(b)}`]
}

function isContainer(value: unknown): value is object {
  return value !== null && typeof value === 'object'
}

function short(json: string | undefined): string {
  if (json === undefined) return 'absent'
  return json.length > 200 ? `${json.slice(0, 200)}…` : json
}

/** The object with what a Secret holds replaced by a word, for showing. */
export function withoutSecrets(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Secret') return object
  const hidden = (values: unknown) =>
    Object.fromEntries(Object.keys((values ?? {}) as object).map(key => [key, 'not shown']))
  return {
    ...object,
    ...(object.data === undefined ? {} : { data: hidden(object.data) }),
    ...(object.stringData === undefined ? {} : { stringData: hidden(object.stringData) }),
  }
}
