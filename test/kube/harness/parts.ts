import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** What test/kube/build.mjs makes. */
export type Part = 'kubernetes' | 'kine' | 'kwok' | 'kustomize' | 'argocd' | 'cilium'

/** Programs of others that a test may want. */
export type Program = 'git' | 'helm' | 'kubectl' | 'redis-server'

// The tests and the bench, which is compiled, are both started in the root of the checkout.
const versions = JSON.parse(readFileSync('test/kube/versions.json', 'utf8')) as Record<Part, string>

/** What every test of this folder needs. */
export const controlPlane: Part[] = ['kubernetes', 'kine', 'kwok']

/** Folder of a part, in which it is whole. */
export function partFolder(part: Part): string {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'recover-ci')
  return join(cache, `${part}-${versions[part]}`)
}

/** A file of a part. */
export function partFile(part: Part, name: string): string {
  return join(partFolder(part), name)
}

/** Version of a part as its releases are named: `v1.36.3`. */
export function versionOf(part: Part): string {
  return versions[part]
}

/** What is not there of what is needed; undefined when all is. */
export function lacking(parts: Part[], programs: Program[] = []): string | undefined {
  if (process.env.RECOVER_KUBE === undefined)
    return 'it is started by `npm run test:kube`, which makes a network of its own for it'
  const unbuilt = parts.filter(part => !existsSync(partFolder(part)))
  if (unbuilt.length > 0)
    return `not built: ${unbuilt.join(', ')} (node test/kube/build.mjs, which needs Go and the network)`
  const absent = programs.filter(name => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)
  return absent.length > 0 ? `not installed: ${absent.join(', ')}` : undefined
}
