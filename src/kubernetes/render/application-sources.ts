import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { stringify } from 'yaml'
import { Fault } from '../../runbook/fault.ts'
import { goYaml } from '../go-yaml.ts'
import type { KubernetesObject } from '../kubernetes.ts'

/** What one source of an Application is rendered from. */
export type RenderSource =
  /** A kustomization of the repository. */
  | { kind: 'kustomization'; folder: string }
  /** Manifests as they are. */
  | { kind: 'plain'; folder: string; recurse: boolean }
  /** A kustomization that says in kustomize's words what the source says in Argo CD's: its files, by name. */
  | { kind: 'made'; files: Record<string, string> }

interface Parameter {
  name: string
  value: string
  forceString?: boolean
}

interface Helm {
  releaseName?: string
  namespace?: string
  values?: string
  valuesObject?: object
  valueFiles?: string[]
  ignoreMissingValueFiles?: boolean
  parameters?: Parameter[]
  skipCrds?: boolean
}

interface Source {
  repoURL?: string
  path?: string
  chart?: string
  targetRevision?: string
  ref?: string
  helm?: Helm
  directory?: { recurse?: boolean; jsonnet?: object }
  plugin?: object
}

const kustomizations = ['kustomization.yaml', 'kustomization.yml', 'Kustomization']

/**
 * The sources of an Argo CD Application or a Flux Kustomization, as far as kustomize and helm can render them: folders of
 * the repository (kustomizations, Helm charts, plain manifests), charts from elsewhere with their values, and folders
 * of other repositories. Throws Fault `render-unsupported` for plugins and Jsonnet.
 * @param root the repository that is at hand
 */
export function renderSourcesOf(application: KubernetesObject, root: string): RenderSource[] {
  const name = application.metadata.name ?? ''
  if (application.kind === 'Kustomization') {
    const { path = '' } = (application.spec ?? {}) as { path?: string }
    return [folderSource({ path, directory: { recurse: true } }, name, '', root, [])]
  }
  const { source, sources, destination } = (application.spec ?? {}) as {
    source?: Source | null
    sources?: Source[] | null
    destination?: { namespace?: string | null } | null
  }
  const all = [source, ...(sources ?? [])].flatMap(s => (s ? [withoutNull(s)] : []))
  return all
    .filter(s => s.path !== undefined || s.chart !== undefined)
    .map(s => sourceFor(s, name, destination?.namespace ?? 'default', root, all))
}

/** A field of which nothing is said (`helm:`) is one that is not there. In a chart's values null means something. */
function withoutNull<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null)) as T
}

function sourceFor(
  source: Source,
  name: string,
  namespace: string,
  root: string,
  all: Source[],
): RenderSource {
  if (source.plugin !== undefined || source.directory?.jsonnet)
    throw new Fault({
      code: 'render-unsupported',
      blame: 'operator',
      message: `${name} is rendered by ${source.plugin ? 'a plugin' : 'Jsonnet'} in Argo CD, which recover does not have`,
      remedy: 'Say in recover.yaml whether it waits for volumes (applications.NAME.hold)',
    })
  if (source.chart !== undefined) return chartSource(source, name, namespace, root, all)
  return folderSource(source, name, namespace, root, all)
}

function folderSource(
  source: Source,
  name: string,
  namespace: string,
  root: string,
  all: Source[],
): RenderSource {
  const path = (source.path ?? '').replace(/^\.\//, '').replace(/\/$/, '')
  const folder = join(root, path)
  if (!existsSync(folder)) {
    const revision = source.targetRevision ?? 'HEAD'
    const url = (source.repoURL ?? '').replace(/\/$/, '')
    return made({ resources: [`${url}//${path}?ref=${revision}`] })
  }
  if (!statSync(folder).isDirectory())
    throw new Fault({
      code: 'render-failed',
      blame: 'operator',
      message: `${name} is to be rendered from ${path}, which is no folder`,
      remedy: 'Name its folder (path), and what of it is meant in directory.include',
    })
  if (existsSync(join(folder, 'Chart.yaml'))) {
    const chart = chartOf(source, name, namespace, root, all, folder)
    return made(
      {
        helmGlobals: { chartHome: dirname(folder) },
        helmCharts: [{ name: basename(folder), ...chart.entry }],
      },
      chart.files,
    )
  }
  if (kustomizations.some(file => existsSync(join(folder, file)))) return { kind: 'kustomization', folder }
  return { kind: 'plain', folder, recurse: source.directory?.recurse === true }
}

function chartSource(
  source: Source,
  name: string,
  namespace: string,
  root: string,
  all: Source[],
): RenderSource {
  const { entry, files } = chartOf(source, name, namespace, root, all, undefined)
  const repoURL = source.repoURL ?? ''
  // Argo CD writes the registry of an OCI chart without a scheme.
  const repo = /^\w+:\/\//.test(repoURL) ? repoURL : `oci://${repoURL}`
  return made({ helmCharts: [{ name: source.chart, repo, version: source.targetRevision, ...entry }] }, files)
}

/** What an entry of helmCharts says of a release, and the values files that it names. */
function chartOf(
  { helm: given = {} }: Source,
  name: string,
  namespace: string,
  root: string,
  all: Source[],
  folder: string | undefined,
): { entry: Record<string, unknown>; files: Record<string, string> } {
  const helm = withoutNull(given)
  const files: Record<string, string> = {}
  const add = (text: string) => {
    files[`values-${Object.keys(files).length}.yaml`] = text
  }
  for (const file of helm.valueFiles ?? []) {
    const path = valuesPath(file, root, all, folder)
    if (path !== undefined && existsSync(path)) add(readFileSync(path, 'utf8'))
    else if (!helm.ignoreMissingValueFiles) throw valuesMissing(name, file)
  }
  // Later ones win: values, then the object, then single parameters, as in Argo CD.
  if (helm.values) add(helm.values)
  if (helm.valuesObject) add(stringify(helm.valuesObject, goYaml))
  if (helm.parameters?.length) add(stringify(nested(helm.parameters), goYaml))
  const [first, ...others] = Object.keys(files)
  return {
    entry: {
      releaseName: helm.releaseName ?? name,
      namespace: helm.namespace ?? namespace,
      includeCRDs: helm.skipCrds !== true,
      ...(first === undefined ? {} : { valuesFile: first }),
      ...(others.length > 0 ? { additionalValuesFiles: others } : {}),
    },
    files,
  }
}

/** Where a values file lies: `$ref/…` in the repository, else beside the chart. */
function valuesPath(
  file: string,
  root: string,
  all: Source[],
  folder: string | undefined,
): string | undefined {
  const [, ref, rest = ''] = /^\$(\w+)\/(.*)$/.exec(file) ?? []
  if (ref !== undefined) return all.some(s => s.ref === ref) ? join(root, normalize(rest)) : undefined
  return folder === undefined ? undefined : join(folder, file)
}

/** Parameters as a tree of values, as helm reads them of `--set`: `a.b=c`, `a\.b=c`, `a[0].b=c`. */
function nested(parameters: Parameter[]): object {
  const tree = noFields()
  for (const parameter of parameters) {
    const steps = [...parameter.name.matchAll(/\[(\d{1,5})\]|((?:\\.|[^.[\\])+)/g)].map(
      ([, index, key = '']) => (index === undefined ? key.replaceAll(/\\(.)/g, '$1') : Number(index)),
    )
    let here = tree
    for (const [i, step] of steps.entries()) {
      const next = steps[i + 1]
      if (next === undefined) here[step] = typed(parameter)
      else {
        const there = here[step]
        const fits =
          typeof there === 'object' && there !== null && Array.isArray(there) === (typeof next === 'number')
        here[step] = fits ? there : typeof next === 'number' ? [] : noFields()
        here = here[step] as typeof tree
      }
    }
  }
  return tree
}

/** An object in which a key may have any name. */
function noFields(): Record<string | number, unknown> {
  return Object.create(null) as Record<string | number, unknown>
}

/** As helm types it: whole numbers that do not begin with a zero, truth values, nothing; all else is text. */
function typed({ value, forceString }: Parameter): unknown {
  if (forceString || !/^(?:true|false|null|0|-?[1-9]\d{0,17})$/.test(value)) return value
  return /\d/.test(value) ? BigInt(value) : JSON.parse(value)
}

function made(kustomization: object, files: Record<string, string> = {}): RenderSource {
  return { kind: 'made', files: { ...files, 'kustomization.yaml': stringify(kustomization, goYaml) } }
}

function valuesMissing(name: string, file: string): Fault {
  return new Fault({
    code: 'render-failed',
    blame: 'operator',
    message: `${name} takes values from ${file}, which is not in the repository`,
    remedy: 'Put the file there, or correct helm.valueFiles of the Application',
  })
}
