import { StatusError } from './status-error.ts'
import type { Stored } from './stored.ts'

/** The selectors of a query, labels and fields, as one test. */
export function selected(query: URLSearchParams): (object: Stored) => boolean {
  // A comma inside of brackets separates values, not requirements.
  const requirements = (text: string) => text.split(/,(?![^(]*\))/).flatMap(r => r.trim() || [])
  const labels = requirements(query.get('labelSelector') ?? '').map(labelTest)
  const fields = requirements(query.get('fieldSelector') ?? '').map(fieldTest)
  return object => labels.every(t => t(object.metadata.labels ?? {})) && fields.every(t => t(object))
}

function labelTest(requirement: string): (labels: Record<string, string>) => boolean {
  const among = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(requirement)
  if (among) {
    const [, key = '', how, list = ''] = among
    const values = list.split(',').map(v => v.trim())
    return labels => (labels[key] !== undefined && values.includes(labels[key])) === (how === 'in')
  }
  const equal = /^([^!=]+?)\s*(!=|==?)\s*(.*)$/.exec(requirement)
  if (equal) {
    const [, key = '', how, value = ''] = equal
    return labels => (labels[key] === value) === (how !== '!=')
  }
  const absent = /^!\s*(.+)$/.exec(requirement)?.[1]
  if (absent !== undefined) return labels => labels[absent] === undefined
  if (!/^[^\s()!=]+$/.test(requirement))
    throw new StatusError(400, 'BadRequest', `unable to parse requirement: ${requirement}`)
  return labels => labels[requirement] !== undefined
}

function fieldTest(requirement: string): (object: Stored) => boolean {
  const [, path = '', how, value = ''] = /^([^!=]+)(!=|==?)(.*)$/.exec(requirement) ?? []
  if (path === '')
    throw new StatusError(400, 'BadRequest', `invalid selector: '${requirement}'; can't understand it`)
  return object => {
    let here: unknown = object
    for (const part of path.split('.')) here = (here as Record<string, unknown> | null | undefined)?.[part]
    return (String(here ?? '') === value) === (how !== '!=')
  }
}
