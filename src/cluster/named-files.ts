import { existsSync, statSync } from 'node:fs'
import type { ArtifactEntry, ClusterFile } from './schema.ts'

type Wanted = 'file' | 'folder' | 'either'

/** Why something that recover.yaml names cannot be what it is named for; undefined where it can. */
export function unfit(path: string, named: string, wanted: Wanted): string | undefined {
  if (!existsSync(path)) return `there is no ${wanted === 'folder' ? 'folder' : 'file'} ${named}`
  const isFolder = statSync(path).isDirectory()
  if (wanted === 'either' || isFolder === (wanted === 'folder')) return undefined
  return isFolder ? `${named} is a folder, not a file` : `${named} is a file, not a folder`
}

/** Every file and folder that recover.yaml names, with the place where it does; a file, where nothing is said. */
export function namedFiles(entry: ClusterFile): [PropertyKey[], string, Wanted?][] {
  const files: [PropertyKey[], string, Wanted?][] = [
    [['k0sctl'], entry.k0sctl],
    [['gitops', 'repository'], entry.gitops.repository, 'folder'],
  ]
  const { bootstrap, applications } = entry.gitops
  if (typeof bootstrap === 'string') files.push([['gitops', 'bootstrap'], bootstrap, 'folder'])
  else
    for (const [i, part] of bootstrap.entries())
      for (const key of ['rendered', 'kustomize'] as const)
        if (part[key] !== undefined)
          files.push([['gitops', 'bootstrap', i, key], part[key], key === 'kustomize' ? 'folder' : 'file'])
  if (typeof applications === 'string') files.push([['gitops', 'applications'], applications, 'folder'])
  else if (applications !== undefined && 'flux' in applications)
    files.push([['gitops', 'applications', 'flux'], applications.flux, 'folder'])
  for (const [name, host] of Object.entries(entry.hosts)) {
    files.push([['hosts', name, 'ignition'], host.ignition])
    if (host.filesDir) files.push([['hosts', name, 'filesDir'], host.filesDir, 'folder'])
  }
  for (const [where, { file, signature }] of artifactsOf(entry)) {
    files.push([[...where, 'file'], file])
    if (signature) files.push([[...where, 'signature'], signature])
  }
  for (const [i, check] of (entry.checks ?? []).entries())
    if ('http' in check && typeof check.tls === 'object' && 'authority' in check.tls)
      files.push([['checks', i, 'tls', 'authority'], check.tls.authority])
  if (entry.ssh?.config) files.push([['ssh', 'config'], entry.ssh.config])
  for (const [i, named] of (entry.evidence ?? []).entries())
    files.push([['evidence', i], named.slice(named.indexOf(':') + 1), 'either'])
  if (entry.restore) files.push([['restore', 'k0s'], entry.restore.k0s])
  if (entry.secrets.file) files.push([['secrets', 'file'], entry.secrets.file])
  if (entry.tools?.k0sctl) files.push([['tools', 'k0sctl'], entry.tools.k0sctl])
  if (entry.tools?.kustomize) files.push([['tools', 'kustomize'], entry.tools.kustomize])
  if (entry.tools?.butane) files.push([['tools', 'butane'], entry.tools.butane])
  if (entry.tools?.imageKey) files.push([['tools', 'imageKey', 'file'], entry.tools.imageKey.file])
  return files
}

/** Every image, with the place where it is named. */
export function artifactsOf(entry: ClusterFile): [PropertyKey[], ArtifactEntry][] {
  const parts = (['kernel', 'initrd', 'iso'] as const).map(part => [part, entry.installer?.[part]] as const)
  return [
    ...Object.entries(entry.hosts).flatMap(([name, { image }]): [PropertyKey[], ArtifactEntry][] =>
      image ? [[['hosts', name, 'image'], image]] : [],
    ),
    ...parts.flatMap(([part, artifact]): [PropertyKey[], ArtifactEntry][] =>
      artifact ? [[['installer', part], artifact]] : [],
    ),
  ]
}
