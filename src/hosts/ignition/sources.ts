import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { Fault } from '../../runbook/fault.ts'
import { type IgnitionConfig, inlineText, parseIgnition, type Resource } from './config.ts'
import { type KeptSource, keptSource } from './source-kit.ts'

/** Something that a machine fetches when it first boots. Without it the boot does not go on. */
export interface Source {
  url: string
  /** What it becomes: `/opt/bin/opkssh`, `a merged config`. */
  what: string
  /** The config says what it must hash to. */
  hashed: boolean
  /** Its name says that it is whatever is newest: `latest`, `main`. */
  unpinned: boolean
  /** What the kit has of it. */
  kept?: KeptSource | undefined
  /** Why a kit never holds it: it may be a secret, or is not fetched by HTTP. */
  never?: string | undefined
}

/** A source, and the place in its config that names it. */
export interface FoundSource extends Source {
  resource: Resource
  /** It is a config itself, and is merged. */
  config: boolean
  /** How many merged configs it lies within. */
  depth: number
  /** The config that it is, where it is one and can be read now. */
  inner?: SourceTree | undefined
}

/** A config with everything that it takes from elsewhere, seen through to the configs that it merges. */
export interface SourceTree {
  /** A copy of its own, which may be changed. */
  config: IgnitionConfig
  sources: FoundSource[]
  /** Configs that lie inside it as `data:` URLs. */
  merged: { resource: Resource; tree: SourceTree }[]
}

/** Ignition goes on for ever where configs merge each other; nobody writes more than two or three into each other. */
const deepest = 8

/**
 * Everything that a config is to be fetched from elsewhere, that of merged configs included as far as they are inside it or
 * in the kit. Faults `ignition-merged-too-deep`, and `ignition-invalid` of a merged config.
 * @param kit folder; undefined where recover.yaml names none
 * @param shown the config's file, for messages
 */
export function findSources(config: IgnitionConfig, kit: string | undefined, shown: string): SourceTree {
  return treeOf(structuredClone(config), kit, shown, 0, '')
}

/** The configs that are merged, as far as they can be seen, with the names that they are told by. */
export function mergedConfigs({ sources, merged }: SourceTree): { name: string; config: IgnitionConfig }[] {
  const within = (name: string, tree: SourceTree) => [{ name, config: tree.config }, ...mergedConfigs(tree)]
  return [
    ...sources.flatMap(({ url, inner }) => (inner ? within(url, inner) : [])),
    ...merged.flatMap(({ tree }) => within('a config inside it', tree)),
  ]
}

/** All of them, each before what lies within it. */
export function allSources({ sources, merged }: SourceTree): FoundSource[] {
  return [
    ...sources.flatMap(source => [source, ...(source.inner ? allSources(source.inner) : [])]),
    ...merged.flatMap(({ tree }) => allSources(tree)),
  ]
}

function treeOf(
  config: IgnitionConfig,
  kit: string | undefined,
  shown: string,
  depth: number,
  within: string,
): SourceTree {
  if (depth > deepest)
    throw new Fault({
      code: 'ignition-merged-too-deep',
      blame: 'operator',
      message: `${shown} merges configs that merge others, more than ${deepest} deep: Ignition may never come to their end`,
      remedy: 'See whether a config merges itself; put them into one file',
      at: shown,
    })
  const tree: SourceTree = { config, sources: [], merged: [] }
  const innerOf = (text: string, name: string) =>
    treeOf(parseIgnition(text, `${name}, which ${shown} merges,`), kit, shown, depth + 1, ` of ${name}`)
  for (const { resource, what, kind } of sitesOf(config)) {
    const url = resource.source
    if (!url) continue
    if (url.startsWith('data:')) {
      if (kind !== 'config') continue
      const text = inlineText(resource)
      if (text) tree.merged.push({ resource, tree: innerOf(text, 'a config inside it') })
      continue
    }
    const never = whyNever(resource, kind)
    const kept = never === undefined ? keptSource(kit, resource) : undefined
    tree.sources.push({
      url,
      what: `${what}${within}`,
      hashed: Boolean(resource.verification?.hash),
      unpinned: isUnpinned(url),
      kept,
      never,
      resource,
      config: kind === 'config',
      depth,
      inner: kind === 'config' && kept ? innerOf(textOf(kept, resource), url) : undefined,
    })
  }
  return tree
}

interface Site {
  resource: Resource
  what: string
  kind: 'config' | 'contents' | 'key'
}

/** Every place of a config that may name something elsewhere. */
function sitesOf({ ignition, storage }: IgnitionConfig): Site[] {
  const site = (resource: Resource | undefined, what: string, kind: Site['kind']): Site[] =>
    resource ? [{ resource, what, kind }] : []
  return [
    ...(ignition.config?.merge ?? []).flatMap(r => site(r, 'a merged config', 'config')),
    ...site(ignition.config?.replace, 'the config itself', 'config'),
    ...(ignition.security?.tls?.certificateAuthorities ?? []).flatMap(r =>
      site(r, 'a certificate authority', 'contents'),
    ),
    ...(storage?.files ?? []).flatMap(file =>
      [file.contents, ...(file.append ?? [])].flatMap(r => site(r, file.path ?? '?', 'contents')),
    ),
    ...(storage?.luks ?? []).flatMap(l => site(l.keyFile, `the key of ${l.name}`, 'key')),
  ]
}

/** Words in a query by which addresses carry a password: of S3, Azure, Google, Git hosts. */
const secretWords = /token|secret|passw|signature|credential|^(?:sig|key|apikey|api_key|access_key|auth)$/i

/** Why a source never goes into a kit. Undefined when it may. */
function whyNever(resource: Resource, kind: Site['kind']): string | undefined {
  if (kind === 'key') return 'it is the key of a disk'
  const url = URL.canParse(resource.source ?? '') ? new URL(resource.source ?? '') : undefined
  if (!url || !/^https?:$/.test(url.protocol))
    return `it is fetched by ${url ? url.protocol.slice(0, -1) : 'an address that cannot be read'}, not by HTTP`
  if ((resource.httpHeaders?.length ?? 0) > 0) return 'it is asked for with headers, which may be a password'
  if (url.username !== '' || url.password !== '') return 'its address holds a password'
  if ([...url.searchParams.keys()].some(name => secretWords.test(name)))
    return 'its address seems to hold a password'
  return undefined
}

/** A part of the path is a name that moves on: `releases/latest/download`, `/main/`, `/current/`. */
function isUnpinned(url: string): boolean {
  return /[/@](?:latest|main|master|HEAD|current|nightly|edge|stable)(?=[/?#]|$)/.test(url)
}

/** The text of a kept config. */
function textOf({ file }: KeptSource, { compression }: Resource): string {
  const bytes = readFileSync(file)
  return (compression === 'gzip' ? gunzipSync(bytes, { maxOutputLength: 64 * 2 ** 20 }) : bytes).toString()
}
