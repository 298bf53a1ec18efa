import { z } from 'zod'
import { ownershipOf } from '../../src/cluster/data-ownership.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { hashOf } from '../../src/kubernetes/render/kustomize.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done } from '../../src/runbook/step.ts'
import { knownApplications } from '../applications/each-application.ts'
import { type Readers, step } from '../kit.ts'
import { refused, type Told } from './findings.ts'

type Application = Readers['cluster']['applications'][number]

/**
 * What applications take from elsewhere (charts, remote bases) is rendered once and looked through: what is let through
 * early must own no data in it, and what cannot be rendered now could not be brought back now either. That is told, and
 * stops nobody: an application that is out of reach need not hold up the others.
 */
export const checkApplications = step({
  id: 'preflight/check-applications',
  title: 'Check what applications take from elsewhere',
  byHand:
    'Render each application as Argo CD would (`kustomize build --enable-helm`, `helm template`) and look for claims in it.',
  serves: ['bootstrap', 'volumes', 'applications'],
  danger: 'reads',
  bounds: { expected: '30s', limit: '20m' },
  output: z.strictObject({ rendered: z.record(z.string(), z.string()) }),
  async observe({ cluster, applicationManifests, signal }) {
    const rendered: Record<string, string> = {}
    const wrong: Told[] = []
    const warnings: Told[] = []
    const held = new Set(knownApplications(cluster).flatMap(a => (a.held ? [a.name] : [])))
    for (const application of cluster.applications.filter(a => a.remote.length > 0)) {
      try {
        const objects = await applicationManifests(application.name, signal)
        rendered[application.name] = hashOf(objects)
        const { owned } = ownershipOf(objects.map(found), [])
        if (owned.length > 0 && !held.has(application.name))
          wrong.push(ownsUnseen(application, [...new Set(owned.map(o => o.claim))]))
      } catch (thrown) {
        if (!(thrown instanceof Fault) || signal.aborted) throw thrown
        warnings.push(thrown.toJSON())
      }
    }
    const [first, ...others] = wrong
    if (first) return refused([first, ...others])
    const names = Object.keys(rendered)
    return done(
      { rendered },
      names.length === 0
        ? 'no application was rendered from elsewhere'
        : `${names.join(', ')} can be rendered; nothing that is let through owns data`,
      { warnings },
    )
  },
})

/** A rendered object as the repository's own are looked at. */
function found(object: KubernetesObject) {
  const { name = '', namespace } = object.metadata
  return { apiVersion: object.apiVersion, kind: object.kind, name, namespace, value: object, at: '' }
}

function ownsUnseen({ name, at }: Application, claims: string[]): Told {
  return {
    code: 'application-owns-unseen-data',
    blame: 'operator',
    message: `${at}: ${name} would be let through before the volumes are there, and what it takes from elsewhere keeps data in ${claims.join(', ')}`,
    remedy: `Say in recover.yaml that it waits: applications: { ${name}: { hold: true } }`,
  }
}
