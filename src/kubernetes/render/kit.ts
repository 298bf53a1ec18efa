import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Something that a kustomization takes from elsewhere. */
export type RemotePart =
  | { kind: 'file'; url: string }
  | { kind: 'git'; url: string; repository: string; path: string; ref: string }
  | { kind: 'chart'; name: string; version: string; repository: string }

/** How a person calls it. */
export function showRemote(remote: RemotePart): string {
  return remote.kind === 'chart'
    ? `chart ${remote.name} ${remote.version} of ${remote.repository}`
    : remote.url
}

/**
 * What an entry of `resources`, `bases` or `components` means to kustomize: a file of manifests by HTTP, or a folder of
 * a Git repository (`https://github.com/o/r//path?ref=v1`, `github.com/o/r`, `git@host:o/r.git`). Undefined for a local path.
 */
export function remoteOf(entry: string): RemotePart | undefined {
  const [place = '', query = ''] = entry.split('?')
  const isUrl = /^(https?|ssh|git|file):\/\//.test(place) || /^git@|^github\.com\//.test(place)
  if (!isUrl) return undefined
  const { ref, version } = Object.fromEntries(new URLSearchParams(query)) as Record<
    string,
    string | undefined
  >
  // kustomize takes a URL for a repository where it says so: `//`, `.git`, `?ref=`, or a host that only holds repositories.
  const file = /^https?:\/\//.test(place) && /\.ya?ml$/.test(place) && !place.slice(8).includes('//')
  if (file) return { kind: 'file', url: entry }
  const scheme = /^\w+:\/\//.exec(place)?.[0] ?? ''
  const rest = place.slice(scheme.length)
  const [first = '', ...below] = rest.split('//')
  const inside = /^(.*?\.git)\/?(.*)$/.exec(first)
  const segments = first.split('/')
  const [repository, path] =
    below.length > 0
      ? [first, below.join('//')]
      : inside
        ? [inside[1] ?? first, inside[2] ?? '']
        : [segments.slice(0, 3).join('/'), segments.slice(3).join('/')]
  const address =
    scheme !== '' ? `${scheme}${repository}` : /^git@/.test(repository) ? repository : `https://${repository}`
  return { kind: 'git', url: entry, repository: address, path, ref: ref ?? version ?? 'HEAD' }
}

/** Where in a kit a remote part lies, relative to the kit's folder. */
export function placeInKit(remote: RemotePart): string {
  switch (remote.kind) {
    case 'chart':
      return join('charts', `${safe(remote.name)}-${safe(remote.version)}`, safe(remote.name))
    case 'file':
      return join(
        'files',
        ...remote.url
          .replace(/^\w+:\/\//, '')
          .split('/')
          .map(safe),
      )
    case 'git':
      return join(
        'git',
        ...remote.repository
          .replace(/^\w+:\/\//, '')
          .split(/[/:]/)
          .map(safe),
        `@${safe(remote.ref)}`,
      )
  }
}

/** Whether a kit holds it. */
export function inKit(kit: string | undefined, remote: RemotePart): boolean {
  if (kit === undefined) return false
  const place = join(kit, placeInKit(remote))
  return remote.kind === 'chart' ? existsSync(join(place, 'Chart.yaml')) : existsSync(place)
}

/** When a part was put into a kit; undefined where it is not in it. */
export function inKitSince(kit: string | undefined, remote: RemotePart): Date | undefined {
  if (kit === undefined || !inKit(kit, remote)) return undefined
  return statSync(join(kit, placeInKit(remote))).mtime
}

/** A name that is one segment of a path, whatever stood in a URL. */
function safe(segment: string): string {
  const kept = segment.replaceAll(/[^\w.@+~-]/g, '_')
  return kept === '' || /^\.+$/.test(kept) ? `_${kept}` : kept
}
