import type { ApplicationSource } from './applications.ts'
import type { CheckEntry } from './check-schema.ts'
import type { FoundObject } from './found-objects.ts'
import { get, list, texts } from './manifest-fields.ts'

type Known = Pick<ApplicationSource, 'name' | 'objects' | 'manifest' | 'parent'>

/**
 * The Applications that a check is about, by name: the one that it names itself; those that bring workloads to the
 * namespace of its pod; those with an Ingress or a route for the name that it asks. All where that tells nothing: it is
 * then asked last.
 */
export function checkedApplications(entry: CheckEntry, applications: readonly Known[]): string[] {
  if (entry.application !== undefined) return [entry.application]
  const about = applications.filter(application =>
    'in' in entry
      ? worksIn(application, entry.in.namespace)
      : application.objects.flatMap(namesServed).includes(nameAsked(entry)),
  )
  return (about.length > 0 ? about : applications).map(a => a.name)
}

const workloads = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Pod', 'Cluster', 'HelmRelease'])

/** Whether its pods are in a namespace: by its objects, and by where it goes itself when a chart's are not seen here. */
function worksIn({ objects, manifest, parent }: Known, namespace: string): boolean {
  if (objects.some(o => workloads.has(o.kind) && o.namespace === namespace)) return true
  return !parent && get(manifest, 'spec', 'destination', 'namespace') === namespace
}

function nameAsked(entry: Extract<CheckEntry, { http: string } | { tcp: string }>): string {
  return 'http' in entry ? new URL(entry.http).hostname : entry.tcp.replace(/:\d+$/, '')
}

/** Names under which an object lets the world in: of an Ingress, of the Gateway API's routes. */
function namesServed({ kind, value }: FoundObject): unknown[] {
  if (kind === 'Ingress') return list(get(value, 'spec', 'rules')).map(rule => get(rule, 'host'))
  return /^(HTTP|TLS|GRPC)Route$/.test(kind) ? texts(get(value, 'spec', 'hostnames')) : []
}
