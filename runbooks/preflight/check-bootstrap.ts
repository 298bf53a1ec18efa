import { isIP } from 'node:net'
import { z } from 'zod'
import { type Entry, namedWhere } from '../../src/cluster/named-where.ts'
import { adminIsOff, ciliumApiHosts, replacesKubeProxy } from '../../src/kubernetes/bootstrap-dangers.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { done } from '../../src/runbook/step.ts'
import { ownSecrets } from '../../src/secrets/connect-manifests.ts'
import { unknownDeliveries } from '../bootstrap/deliveries.ts'
import { type Readers, step } from '../kit.ts'
import { checkManifests } from './check-manifests.ts'
import { refused, type Told } from './findings.ts'

type Part = Readers['cluster']['bootstrap'][number]

/**
 * What in the bootstrap's manifests cannot work while nothing else runs: the network's way to the API, logins that need
 * what they are to mend, Secrets that would take themselves away.
 */
export const checkBootstrap = step({
  id: 'preflight/check-bootstrap',
  title: 'Check what the bootstrap depends on',
  byHand:
    'See that Cilium’s k8sServiceHost is an address, or a name that resolves without the cluster; that Argo CD’s admin may log in; that no OnePasswordItem is named like 1Password Connect’s own Secrets.',
  needs: [checkManifests],
  serves: ['bootstrap'],
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  output: z.strictObject({ apiHosts: z.array(z.string()) }),
  async observe({ cluster, manifests, names, signal }) {
    const wrong: Told[] = []
    const warnings: Told[] = []
    const apiHosts: string[] = []
    const all: KubernetesObject[] = []
    for (const part of cluster.bootstrap) {
      const objects = await manifests(part.name, signal)
      all.push(...objects)
      const hosts = ciliumApiHosts(objects)
      apiHosts.push(...hosts.map(h => h.host))
      for (const { host } of hosts) {
        const at = whereIn(cluster, part, [
          { name: 'KUBERNETES_SERVICE_HOST', value: host },
          { k8sServiceHost: host },
        ])
        const problem = await apiHostProblem(host, at, cluster, names)
        if (problem?.refuse) wrong.push(problem.told)
        else if (problem) warnings.push(problem.told)
      }
      if (hosts.length === 0 && replacesKubeProxy(objects) && kubeProxyIsOff(cluster))
        wrong.push(noApiHost(cluster, part))
      wrong.push(...unknownDeliveries(cluster, objects).map(what => startsApplications(part.name, what)))
      if (adminIsOff(objects)) warnings.push(adminOff(whereIn(cluster, part, [{ 'admin.enabled': 'false' }])))
    }
    warnings.push(...pruningTraps(cluster, all))
    const [first, ...others] = wrong
    if (first) return refused([first, ...others])
    return done(
      { apiHosts },
      apiHosts.length === 0
        ? 'nothing in the bootstrap depends on what it is to bring'
        : `the network finds the API at ${apiHosts.join(', ')}, without the cluster’s help`,
      { warnings },
    )
  },
})

/** What is wrong with the address at which Cilium is to find the API; undefined for a literal one. */
async function apiHostProblem(
  host: string,
  at: string,
  cluster: Readers['cluster'],
  names: Readers['names'],
): Promise<{ refuse: boolean; told: Told } | undefined> {
  if (isIP(host) !== 0 || host === 'localhost' || host === 'auto') return undefined
  const remedy = `Name a literal address of a controller there (${cluster.k0sctl.apiAddress ?? 'spec.api.address of k0sctl.yaml'}), or 127.0.0.1 and port 7443 with node-local load balancing`
  const refusal = (why: string) => ({ refuse: true, told: apiCircular(at, `${host}, ${why}`, remedy) })
  if (/\.(cluster\.local|svc)\.?$|^kubernetes(\.default)?$/.test(host))
    return refusal('a name of the cluster’s own DNS')
  if (cluster.inventory.hosts.some(h => h.host === host))
    return refusal('which an Ingress of this cluster serves')
  const addresses = await names.addresses(host)
  if (addresses?.length === 0) return refusal('which does not resolve now')
  return {
    refuse: false,
    told: {
      code: 'cilium-api-by-name',
      blame: 'operator',
      message: `${at}: Cilium finds the API by the name ${host}; the hosts must be able to resolve it while the cluster is down${addresses ? `, as this computer can (${addresses.join(', ')})` : ''}`,
      remedy,
    },
  }
}

function apiCircular(at: string, host: string, remedy: string): Told {
  return {
    code: 'cilium-api-circular',
    blame: 'operator',
    message: `${at}: Cilium is to find the API at ${host}: without the network there is no such name, and without the name no network`,
    remedy,
  }
}

function noApiHost(cluster: Readers['cluster'], part: Part): Told {
  const at = whereIn(
    cluster,
    part,
    ['true', 'strict'].flatMap(value => [
      { 'kube-proxy-replacement': value },
      { kubeProxyReplacement: value },
    ]),
  )
  return {
    code: 'cilium-api-unknown',
    blame: 'operator',
    message: `${at}: Cilium is to do kube-proxy’s work, which ${cluster.entry.k0sctl} switches off, and is not told where the API is: it would look for the Service that it alone can make work`,
    remedy: `Set k8sServiceHost (${cluster.k0sctl.apiAddress ?? 'the address of a controller'}) and k8sServicePort in Cilium’s values, and render it again`,
  }
}

function kubeProxyIsOff({ k0sctl }: Readers['cluster']): boolean {
  const { kubeProxy } = (k0sctl.config.network ?? {}) as { kubeProxy?: { disabled?: boolean } }
  return kubeProxy?.disabled === true
}

function startsApplications(part: string, what: string): Told {
  return {
    code: 'bootstrap-starts-applications',
    blame: 'operator',
    message: `${what} among the manifests of ${part} would start applications before their data is there: it is none of those that gitops.applications of recover.yaml leads to, so that nobody knows what it brings`,
    remedy: 'Name the folder that it stands in as gitops.applications, or take it out of the bootstrap',
  }
}

function adminOff(at: string): Told {
  return {
    code: 'argocd-admin-off',
    blame: 'operator',
    message: `${at}: Argo CD’s admin may not log in, so that nobody can while the cluster’s own single sign-on is down`,
    remedy: 'Set admin.enabled to true in argocd-cm, at least until the applications are back',
  }
}

/** OnePasswordItems that own the very Secrets which their operator needs: one that is pruned takes its Secret along. */
function pruningTraps({ inventory }: Readers['cluster'], objects: readonly KubernetesObject[]): Told[] {
  const own = ownSecrets(objects)
  return inventory.items
    .filter(item => own.some(s => s.name === item.name && (item.namespace ?? s.namespace) === s.namespace))
    .map(item => ownsCredentials(item.at, item.name))
}

function ownsCredentials(at: string, name: string): Told {
  return {
    code: 'onepassword-item-owns-credentials',
    blame: 'operator',
    message: `${at}: the OnePasswordItem ${name} has the name of a Secret that 1Password itself needs; when it is deleted or pruned, its operator deletes that Secret with it, and nothing can make it again from within`,
    remedy: `Take ${name} out of Git, or annotate it with argocd.argoproj.io/sync-options: Prune=false,Delete=false`,
  }
}

function whereIn(cluster: Readers['cluster'], part: Part, entries: readonly Entry[]): string {
  const root = cluster.resolve(cluster.entry.gitops.repository)
  const place = 'folder' in part.from ? part.from.folder : part.from.file
  return namedWhere(entries, place, root) ?? `the bootstrap’s part ${part.name}`
}
