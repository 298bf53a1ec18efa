import type { IgnitionConfig, Resource } from './config.ts'
import type { Finding } from './findings.ts'
import { hostOf } from './tang.ts'

/** Something that a machine fetches when it first boots. Without it the boot does not go on. */
export interface Dependency {
  url: string
  /** What it becomes: `/opt/bin/opkssh`, `a merged config`. */
  what: string
  /** The config says what it must hash to. */
  hashed: boolean
  /** Its name says that it is whatever is newest: `latest`, `main`. */
  unpinned: boolean
}

/** Everything that a config is to be fetched from elsewhere. */
export function dependenciesOf({ ignition, storage }: IgnitionConfig): Dependency[] {
  const found: [Resource | undefined, string][] = [
    ...(ignition.config?.merge ?? []).map((r): [Resource, string] => [r, 'a merged config']),
    [ignition.config?.replace, 'the config itself'],
    ...(ignition.security?.tls?.certificateAuthorities ?? []).map((r): [Resource, string] => [
      r,
      'a certificate authority',
    ]),
    ...(storage?.files ?? []).flatMap(file =>
      [file.contents, ...(file.append ?? [])].map((r): [Resource | undefined, string] => [
        r,
        file.path ?? '?',
      ]),
    ),
    ...(storage?.luks ?? []).map((l): [Resource | undefined, string] => [l.keyFile, `the key of ${l.name}`]),
  ]
  return found.flatMap(([resource, what]) => {
    const url = resource?.source
    if (!url || url.startsWith('data:')) return []
    return [{ url, what, hashed: Boolean(resource.verification?.hash), unpinned: isUnpinned(url) }]
  })
}

/** A part of the path is a name that moves on: `releases/latest/download`, `/main/`, `/current/`. */
function isUnpinned(url: string): boolean {
  return /[/@](?:latest|main|master|HEAD|current|nightly|edge|stable)(?=[/?#]|$)/.test(url)
}

/**
 * @param own names and addresses that are away while the cluster is rebuilt: its hosts, and what it serves
 */
export function dependencyFindings(
  dependencies: Dependency[],
  shown: string,
  own: readonly string[],
): Finding[] {
  const list = (of: Dependency[]) => of.map(d => `${d.url} (${d.what})`).join(', ')
  const circular = dependencies.filter(d => own.includes(hostOf(d.url)))
  const unpinned = dependencies.filter(d => d.unpinned && !d.hashed)
  const unhashed = dependencies.filter(d => !d.unpinned && !d.hashed)
  const findings: Finding[] = []
  if (circular.length > 0)
    findings.push({
      severity: 'refusal',
      code: 'ignition-source-circular',
      blame: 'operator',
      message: `${shown} fetches ${list(circular)} from the very cluster that is being rebuilt: the first boot would wait for it for ever`,
      remedy: 'Put it into the config as a local file, or somewhere that stands without the cluster',
      at: shown,
    })
  if (unpinned.length > 0)
    findings.push({
      severity: 'warning',
      code: 'ignition-source-unpinned',
      blame: 'operator',
      message: `${shown} fetches whatever is newest on the day of the recovery, without a hash: ${list(unpinned)}`,
      remedy: 'Name a version, and its hash in verification',
      at: shown,
    })
  if (unhashed.length > 0)
    findings.push({
      severity: 'warning',
      code: 'ignition-source-unhashed',
      blame: 'operator',
      message: `${shown} fetches at the first boot, without a hash: ${list(unhashed)}`,
      remedy: 'Add its hash in verification, and keep a copy',
      at: shown,
    })
  return findings
}
