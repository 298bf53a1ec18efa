import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Folders that fit patterns like `applications/*`, relative to the repository. */
export function foldersOf(patterns: string[], root: string): string[] {
  return patterns.flatMap(pattern => {
    if (!pattern.endsWith('/*')) return existsSync(join(root, pattern)) ? [pattern] : []
    const parent = pattern.slice(0, -2)
    if (!existsSync(join(root, parent))) return []
    return readdirSync(join(root, parent))
      .filter(name => !name.startsWith('.') && statSync(join(root, parent, name)).isDirectory())
      .map(name => `${parent}/${name}`)
  })
}

type Json = Record<string, unknown>

/**
 * The Applications that an ApplicationSet will make, as far as that can be foreseen from the repository alone: its Git
 * directory and list generators, with the parameters that their templates take, in both template languages
 * (https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Git/). What other generators
 * make, and templates with logic in them, is left out: those Applications begin with the set itself, which is released
 * last.
 */
export function foreseen(set: Json, root: string): Json[] {
  const spec = set.spec as { generators?: Json[]; template?: Json } | undefined
  const template = spec?.template
  if (!template) return []
  const { namespace } = set.metadata as { namespace?: string }
  return (spec.generators ?? [])
    .flatMap(generator => parametersOf(generator, root))
    .flatMap(parameters => {
      const text = filled(JSON.stringify(template), parameters)
      if (text === undefined) return []
      const made = JSON.parse(text) as { metadata?: Json; spec?: Json }
      return [
        {
          apiVersion: 'argoproj.io/v1alpha1',
          kind: 'Application',
          metadata: { ...made.metadata, ...(namespace === undefined ? {} : { namespace }) },
          spec: made.spec,
        },
      ]
    })
}

function parametersOf(generator: Json, root: string): Record<string, string>[] {
  const { directories } = (generator.git ?? {}) as { directories?: { path: string; exclude?: boolean }[] }
  const { elements } = (generator.list ?? {}) as { elements?: Json[] }
  const named = (exclude: boolean) =>
    foldersOf(
      (directories ?? []).filter(d => (d.exclude ?? false) === exclude).map(d => d.path),
      root,
    )
  const excluded = new Set(named(true))
  return [
    ...[...new Set(named(false))].filter(folder => !excluded.has(folder)).map(ofFolder),
    ...(elements ?? []).map(element =>
      Object.fromEntries(Object.entries(element).map(([key, value]) => [key, String(value)])),
    ),
  ]
}

/** Names without the dot that the Go language puts before them. */
function ofFolder(path: string): Record<string, string> {
  const segments = path.split('/')
  const name = basename(path)
  return {
    path,
    'path.path': path,
    'path.basename': name,
    'path.basenameNormalized': name.replaceAll(/[^a-z0-9.-]/gi, '-').toLowerCase(),
    ...Object.fromEntries(
      segments.flatMap((segment, i) => [
        [`path[${i}]`, segment],
        [`index .path.segments ${i}`, segment],
      ]),
    ),
  }
}

/** A template's text with its parameters in place; undefined when it asks for more than parameters. */
function filled(text: string, parameters: Record<string, string>): string | undefined {
  let whole = true
  const result = text.replaceAll(/\{\{-?\s*(.*?)\s*-?\}\}/g, (_, expression: string) => {
    const value = parameters[expression.replace(/^\./, '')]
    if (value === undefined) whole = false
    return JSON.stringify(value ?? '').slice(1, -1)
  })
  return whole ? result : undefined
}
