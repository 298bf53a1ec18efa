import type { K0sctlFile } from './k0sctl-file.ts'
import { nearest } from './nearest.ts'
import type { Problem } from './problem.ts'
import type { ClusterFile } from './schema.ts'
import type { YamlDocument } from './yaml-file.ts'

/** Claims that are to be restored, and of which nothing says from where. */
export function withoutBackup(
  entry: ClusterFile,
  claims: { id: string }[],
  document: YamlDocument,
): Problem[] {
  return claims
    .filter(({ id }) => (entry.volumes[id] ?? entry.volumes.default) === 'restore' && !entry.backups?.[id])
    .map(({ id }) => ({
      at: document.at(['volumes', entry.volumes[id] ? id : 'default']),
      path: 'volumes',
      message: `${id} is to be restored, and \`backups\` does not say from where`,
    }))
}

/** What no single field can be wrong about alone. */
export function crossChecks(
  entry: ClusterFile,
  k0sctl: K0sctlFile,
  claims: string[],
  document: YamlDocument,
): Problem[] {
  const problems: Problem[] = []
  const wrong = (path: PropertyKey[], message: string) =>
    problems.push({ at: document.at(path), path: path.join('.'), message })
  const names = k0sctl.hosts.map(h => h.name)
  for (const name of names)
    if (!entry.hosts[name]) wrong(['hosts'], `${name} stands in ${entry.k0sctl} and has no entry here`)
  for (const name of Object.keys(entry.hosts))
    if (!names.includes(name)) {
      const meant = nearest(name, names)
      wrong(['hosts', name], `${entry.k0sctl} has no such host${meant ? `; did you mean ${meant}?` : ''}`)
    }
  if (entry.copyOn !== undefined && !names.includes(entry.copyOn)) {
    const meant = nearest(entry.copyOn, names)
    wrong(['copyOn'], `${entry.k0sctl} has no such host${meant ? `; did you mean ${meant}?` : ''}`)
  }
  const { remote, serve } = entry.gitops
  if (serve && !/^https?:\/\//.test(remote ?? ''))
    wrong(
      ['gitops', 'serve'],
      remote === undefined
        ? 'gitops.remote must say which URL is to be served'
        : `only repositories with an http or https URL can be served in their place, and ${remote.replace(/^(\w+:\/\/)[^/@]+@/, '$1')} has none; docs/gitops.md says what to do by hand`,
    )
  if (serve && entry.kit === undefined)
    wrong(['gitops', 'serve'], 'the mirror that it serves lies in the kit: name a folder as `kit`')
  const disks = Object.entries(entry.hosts).map(([name, host]) => ({
    name,
    id: host.disk.serial ?? host.disk.wwn,
  }))
  for (const { name, id } of disks) {
    const twin = disks.find(d => d.id === id)
    if (twin && twin.name !== name)
      wrong(['hosts', name, 'disk'], `names the same disk as ${twin.name}: ${id}`)
  }
  const named = [
    ...Object.keys(entry.volumes).map(claim => ['volumes', claim] as const),
    ...Object.keys(entry.luns ?? {}).map(claim => ['luns', claim] as const),
    ...Object.keys(entry.giveUp ?? {}).map(claim => ['giveUp', claim] as const),
    ...Object.keys(entry.backups ?? {}).map(claim => ['backups', claim] as const),
  ]
  for (const [where, claim] of named)
    if (!(where === 'volumes' && claim === 'default') && !claims.includes(claim)) {
      const meant = nearest(claim, claims)
      wrong(
        [where, claim],
        `no such claim in ${entry.gitops.repository}${meant ? `; did you mean ${meant}?` : `; there are: ${claims.join(', ')}`}`,
      )
    }
  if (entry.restore)
    for (const [claim, strategy] of Object.entries(entry.volumes))
      if (strategy !== 'adopt')
        wrong(
          ['volumes', claim],
          `with restore.k0s every claim is bound to its old disk again, so that only adopt is possible, not ${strategy}`,
        )
  const { version } = k0sctl
  if (version === undefined || !/^\d+\.\d+\.\d+\+k0s\.\d+$/.test(version))
    problems.push({
      at: k0sctl.at(['spec', 'k0s', 'version']).replace(/^[^:]+/, entry.k0sctl),
      path: 'spec.k0s.version',
      message:
        version === undefined
          ? 'missing: without a pinned version k0sctl asks the internet which is newest'
          : `expected an exact k0s version such as v1.34.2+k0s.0, got ${version}`,
    })
  return problems
}
