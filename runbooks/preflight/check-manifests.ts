import { z } from 'zod'
import { kitOf } from '../../src/cluster/kit-folder.ts'
import type { RemoteDependency } from '../../src/cluster/kustomization.ts'
import type { Cluster } from '../../src/cluster/load.ts'
import { inKitSince, type RemotePart, remoteOf, showRemote } from '../../src/kubernetes/render/kit.ts'
import { hashOf } from '../../src/kubernetes/render/kustomize.ts'
import { done, type Warning } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { daysSince } from './days.ts'

/** The bootstrap can be rendered now, from what is at hand: its charts may live behind what is being rebuilt. */
export const checkManifests = step({
  id: 'preflight/check-manifests',
  title: 'Check the bootstrap’s manifests',
  byHand:
    'Have the bootstrap’s manifests rendered, as files: `kustomize build --enable-helm bootstrap > bootstrap.yaml`.',
  danger: 'reads',
  bounds: { expected: '10s', limit: '10m' },
  output: z.strictObject({ objects: z.number(), parts: z.record(z.string(), z.string()) }),
  async observe({ cluster, manifests, signal }) {
    const parts: Record<string, string> = {}
    let objects = 0
    for (const { name } of cluster.bootstrap) {
      const rendered = await manifests(name, signal)
      objects += rendered.length
      parts[name] = hashOf(rendered)
    }
    const kit = keptParts(cluster)
    return done(
      { objects, parts },
      `${objects} objects in ${cluster.bootstrap.length} parts: ${Object.entries(parts)
        .map(([name, sha256]) => `${name} (sha256 ${sha256.slice(0, 12)})`)
        .join(
          ', ',
        )}${kit.age === undefined ? '' : `; what is remote lies in the kit, the oldest for ${kit.age} days`}`,
      { warnings: kit.warnings },
    )
  },
})

/** Charts and bases that are pinned do not change; half a year later nobody knows whether they still are what is wanted. */
const oldDays = 180

/** What the bootstrap takes from elsewhere, and whether the kit holds it for the day when elsewhere is out of reach. */
function keptParts(cluster: Cluster): { age?: number; warnings: Warning[] } {
  const { bootstrap, entry } = cluster
  const kit = kitOf(cluster)
  const remote = bootstrap.flatMap(({ from }) => ('folder' in from ? from.remote.flatMap(partOf) : []))
  const since = remote.map(part => ({ part, since: inKitSince(kit, part) }))
  const lacks = since.filter(s => s.since === undefined).map(s => showRemote(s.part))
  const warnings: Warning[] = []
  if (lacks.length > 0)
    warnings.push({
      code: 'kit-lacks',
      blame: 'operator',
      message: `the bootstrap needs the network for ${lacks.join(', ')}: ${kit === undefined ? 'recover.yaml names no kit' : 'the kit does not hold it'}`,
      remedy:
        kit === undefined
          ? 'Name a folder in recover.yaml (kit), and fill it: `recover render --fill-kit`'
          : '`recover render --fill-kit`',
    })
  const ages = since.flatMap(s => (s.since ? [daysSince(s.since)] : []))
  if (ages.length === 0) return { warnings }
  const age = Math.max(...ages)
  if (age > oldDays)
    warnings.push({
      code: 'kit-old',
      blame: 'operator',
      message: `a part of the kit ${entry.kit} has lain there for ${age} days`,
      remedy:
        'See that it is still what the cluster runs; `recover render --fill-kit` into an empty folder fetches it anew',
    })
  return { age, warnings }
}

function partOf({ kind, what, repository = '' }: RemoteDependency): RemotePart[] {
  if (kind === 'base') return [remoteOf(what) ?? []].flat()
  const [name = '', version = ''] = what.split(' ')
  return [{ kind: 'chart', name, version, repository }]
}
