import { parseAllDocuments, stringify } from 'yaml'
import { Fault } from '../../runbook/fault.ts'
import { goYaml } from '../go-yaml.ts'
import type { KubernetesObject } from '../kubernetes.ts'

/**
 * The objects of a text of several YAML documents; a `List` is taken apart, what is no object is left out. Throws Fault
 * `manifests-invalid` with line and column.
 * @param source where the text comes from, for messages
 */
export function parseManifests(text: string, source: string): KubernetesObject[] {
  const documents = parseAllDocuments(text, goYaml)
  return (Array.isArray(documents) ? documents : []).flatMap(document => {
    const [error] = document.errors
    if (error) {
      const { line = 1, col = 1 } = error.linePos?.[0] ?? {}
      throw new Fault({
        code: 'manifests-invalid',
        blame: 'operator',
        message: `${source}:${line}:${col}: ${error.message.split('\n')[0]}`,
        remedy: 'Mend the YAML there, or render it again',
        at: `${source}:${line}:${col}`,
        cause: error,
      })
    }
    const value = document.toJS() as (KubernetesObject & { items?: KubernetesObject[] }) | null
    const all = value?.kind === 'List' && Array.isArray(value.items) ? value.items : [value]
    return all.flatMap(one => (one?.kind === undefined || one.apiVersion === undefined ? [] : [one]))
  })
}

/** Objects as kubectl takes them: one YAML document each. */
export function printManifests(objects: readonly KubernetesObject[]): string {
  return objects.map(o => stringify(o, { ...goYaml, lineWidth: 0 })).join('---\n')
}
