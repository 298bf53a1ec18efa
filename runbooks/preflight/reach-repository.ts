import { existsSync } from 'node:fs'
import { z } from 'zod'
import { mirrorIn, repositoriesOf } from '../../src/gitops/repository.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { done } from '../../src/runbook/step.ts'
import { withoutLogin } from '../bootstrap/each-mirror.ts'
import { type Readers, step } from '../kit.ts'
import type { Told } from './findings.ts'

/**
 * The repositories that applications are read from answer, and stand elsewhere than on what is being rebuilt. One that does
 * not stops nobody now: hosts, cluster and volumes come back without it, and the mirror is served where recover.yaml says so.
 */
export const reachRepository = step({
  id: 'preflight/reach-repository',
  title: 'Reach the Git repositories',
  byHand: '`git ls-remote URL` for each repository that Argo CD or Flux reads.',
  serves: ['volumes', 'applications'],
  danger: 'reads',
  bounds: { expected: '3s', limit: '5m' },
  output: z.strictObject({ repositories: z.array(z.string()), away: z.array(z.string()) }),
  async observe({ cluster, git, signal }) {
    const objects = cluster.applications.flatMap(a => [a.manifest, ...(a.project ? [a.project] : [])])
    const { remote } = cluster.entry.gitops
    const urls = [
      ...new Set([
        ...repositoriesOf(objects as unknown as KubernetesObject[]),
        ...(remote === undefined ? [] : [remote]),
      ]),
    ].map(withoutLogin)
    const warnings: Told[] = []
    const missed: string[] = []
    for (const url of new Set(urls)) {
      const host = hostOf(url)
      const own = cluster.inventory.hosts.find(h => h.host === host)
      const why = own ? undefined : await git.refusal(url, signal)
      if (own) warnings.push(onOurselves(url, own.at, cluster))
      else if (why !== undefined) warnings.push(away(url, why, cluster))
      if (own || why !== undefined) missed.push(url)
    }
    const list = [...new Set(urls)]
    return done(
      { repositories: list, away: missed },
      list.length === 0
        ? 'no application is read from a Git repository'
        : `${list.length - warnings.length} of ${list.length} Git repositories can be read from here`,
      { warnings },
    )
  },
})

function onOurselves(url: string, at: string, cluster: Readers['cluster']): Told {
  return {
    code: 'repository-circular',
    blame: 'operator',
    message: `applications are read from ${url}, which this very cluster serves (${at}): it is away until they are back`,
    remedy: insteadOf(url, cluster),
  }
}

function away(url: string, why: string, cluster: Readers['cluster']): Told {
  return {
    code: 'repository-unreachable',
    blame: 'network',
    message: `${url}, from which applications are read, cannot be read from here: ${why}`,
    remedy: insteadOf(url, cluster),
  }
}

/** What comes in its place, or what a person does for that. */
function insteadOf(url: string, { entry, resolve, applications }: Readers['cluster']): string {
  const { remote = '', repository, serve } = entry.gitops
  const kit = entry.kit === undefined ? undefined : resolve(entry.kit)
  const mirror = kit === undefined ? undefined : mirrorIn(kit, resolve(repository))
  if (mirror === undefined || !existsSync(mirror))
    return 'While it can be read, run `recover render --fill-kit` (with `kit: FOLDER` in recover.yaml): it keeps a mirror'
  const isOwn = url === withoutLogin(remote)
  if (isOwn && serve) return `This run serves ${mirror} to Argo CD in its place; wait for it, or go on`
  if (isOwn && /^https?:/.test(url) && applications.some(a => a.manifest.kind === 'Application'))
    return `If the cluster cannot read it either, say \`serve: { address: ADDRESS-OF-THIS-COMPUTER }\` under gitops in recover.yaml: the run then serves ${mirror} to Argo CD`
  return `If the cluster cannot read it either, serve the mirror ${mirror} from this computer and tell the cluster to read it there, as docs/gitops.md says under “By hand”`
}

function hostOf(url: string): string {
  return /^(?:\w+:\/\/)?(?:[^@/]+@)?([^/:]+)/.exec(url)?.[1] ?? url
}
