import { execa } from 'execa'
import { parseAllDocuments } from 'yaml'
import { Fault } from '../runbook/fault.ts'
import type { KubernetesObject } from './kubernetes.ts'

// kubectl has kustomize inside; either way Helm charts need the program helm beside it.
const programs = [
  ['kustomize', 'build', '--enable-helm'],
  ['kubectl', 'kustomize', '--enable-helm'],
] as const

/**
 * Renders a kustomization as a person would, with kustomize or kubectl from PATH. Charts and remote bases are fetched
 * from the network. Fault `render-tool-missing` or `render-failed`.
 */
export async function renderKustomization(folder: string, signal: AbortSignal): Promise<KubernetesObject[]> {
  for (const [program, ...args] of programs) {
    const result = await execa(program, [...args, folder], {
      cancelSignal: signal,
      timeout: 5 * 60_000,
      reject: false,
      stdin: 'ignore',
    })
    if (signal.aborted) throw signal.reason
    if ((result as { code?: string }).code === 'ENOENT') continue
    if (result.exitCode === 0) return parseManifests(result.stdout)
    throw new Fault({
      code: 'render-failed',
      blame: 'operator',
      message: `${program} could not render ${folder}: ${String(result.stderr).trim().split('\n').slice(-3).join(' / ')}`,
      remedy:
        'Render it once while all is well and name the files in recover.yaml (gitops.bootstrap: [{ name, rendered }]): in an outage its charts and remote bases may be out of reach',
    })
  }
  throw new Fault({
    code: 'render-tool-missing',
    blame: 'operator',
    message: `${folder} must be rendered, and neither kustomize nor kubectl is on PATH`,
    remedy:
      'Install kustomize and helm, or render it once and name the files in recover.yaml (gitops.bootstrap: [{ name, rendered }])',
  })
}

/** The objects of a text of several YAML documents. */
export function parseManifests(text: string): KubernetesObject[] {
  const documents = parseAllDocuments(text)
  return (Array.isArray(documents) ? documents : []).flatMap(document => {
    const value = document.toJS() as KubernetesObject | null
    return value?.kind === undefined || value.apiVersion === undefined ? [] : [value]
  })
}
