import type { Finding } from './findings.ts'
import type { Source } from './sources.ts'
import { hostOf } from './tang.ts'

/**
 * What is to be said of what a config takes from elsewhere.
 * @param own names and addresses that are away while the cluster is rebuilt: its hosts, and what it serves
 */
export function sourceFindings(sources: readonly Source[], shown: string, own: readonly string[]): Finding[] {
  const list = (of: readonly Source[]) => of.map(d => `${d.url} (${d.what})`).join(', ')
  const fetched = sources.filter(s => !s.kept)
  const circular = fetched.filter(s => own.includes(hostOf(s.url)))
  const unpinned = fetched.filter(s => s.unpinned && !s.hashed)
  const unhashed = fetched.filter(s => !s.unpinned && !s.hashed)
  const ofTheKit = sources.filter(s => s.kept && !s.hashed)
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
      remedy: 'Add its hash in verification, and keep a copy: `recover render --fill-kit`',
      at: shown,
    })
  if (ofTheKit.length > 0)
    findings.push({
      severity: 'warning',
      code: 'ignition-source-unhashed',
      blame: 'operator',
      message: `${shown} does not say by a hash what it wants of ${list(ofTheKit)}: it gets what the kit fetched on ${[...new Set(ofTheKit.map(s => s.kept!.since.toISOString().slice(0, 10)))].join(', ')}`,
      remedy: `Add its hash in verification: ${ofTheKit.map(s => `sha512-${s.kept!.sha512}`).join(', ')}`,
      at: shown,
    })
  return findings
}
