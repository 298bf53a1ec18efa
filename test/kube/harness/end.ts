import type { Json } from '../../lab/kubernetes/cluster.ts'
import type { RealHome } from './recovery.ts'

/** What two recoveries of the same home must agree on. */
export interface End {
  /** Every object that somebody named, with what was wanted of it. */
  objects: Record<string, unknown>
  /** Applications by their sync and health. */
  applications: Record<string, string>
  /** Claims by their phase. */
  claims: Record<string, string>
}

// Made by controllers from other objects, under names of their own.
const derived = [
  ...['Pod', 'ReplicaSet', 'ControllerRevision', 'Event', 'EndpointSlice', 'Endpoints', 'Lease'],
  ...['IPAddress', 'VolumeAttachment'],
]

// Secrets that are made up anew in every run of a program.
const madeUp = /^(cilium-ca|hubble-.*|argocd-secret|argocd-redis)$/

/** The end of a home's recovery, as its API tells it. */
export async function endOf({ cluster }: RealHome): Promise<End> {
  const get = async (path: string): Promise<Json> => (await cluster.ask('GET', path)).body
  const groups: Json[] = (await get('/apis')).groups
  const roots = ['/api/v1', ...groups.map(g => `/apis/${g.preferredVersion.groupVersion}`)]
  const objects: Record<string, unknown> = {}
  for (const root of roots)
    for (const resource of ((await get(root)).resources ?? []) as Json[]) {
      const { name, kind, verbs } = resource
      if (name.includes('/') || derived.includes(kind) || !verbs.includes('list')) continue
      for (const object of (await get(`${root}/${name}`)).items ?? []) {
        const { namespace, name: own } = object.metadata
        const claim = kind === 'PersistentVolume' ? object.spec.claimRef?.name : undefined
        const key = `${kind} ${namespace ?? ''}/${claim === undefined ? own : `volume of ${claim}`}`
        if (kind === 'Secret' && madeUp.test(own)) objects[key] = 'made up'
        else objects[key] = wantedOf(object)
      }
    }
  const applications = (await get('/apis/argoproj.io/v1alpha1/applications')).items as Json[]
  const claims = (await get('/api/v1/persistentvolumeclaims')).items as Json[]
  return {
    objects,
    applications: Object.fromEntries(
      applications.map(a => [a.metadata.name, `${a.status?.sync?.status}, ${a.status?.health?.status}`]),
    ),
    claims: Object.fromEntries(
      claims.map(c => [`${c.metadata.namespace}/${c.metadata.name}`, c.status?.phase]),
    ),
  }
}

/** What was wanted of an object: without times, versions, identities and places that differ from run to run. */
function wantedOf({ spec, data, rules, metadata }: Json): unknown {
  const text = JSON.stringify({ spec, data, rules, labels: metadata.labels, finalizers: metadata.finalizers })
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/"resourceVersion":"\d+"/g, '"resourceVersion":"N"')
    .replaceAll(/"(clusterIPs?|ca\.crt|podCIDRs?|podCIDR)":("[^"]*"|\[[^\]]*\])/g, '"$1":"…"')
    .replaceAll(/file:\/\/[^"]*home-\w+/g, 'file://home')
}
