import type { K0sHost } from '../../src/cluster/k0sctl-file.ts'
import type { KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Readers } from '../kit.ts'
import type { Seen } from './k0s-troubles.ts'

/** Machines of the cluster, by what is asked of them. */
export function hostsIn(cluster: Readers['cluster'], which: 'controllers' | 'all'): K0sHost[] {
  return cluster.k0sctl.hosts.filter(h => which === 'all' || h.role !== 'worker')
}

/**
 * Asks these machines about their k0s, all of them at once. Each is reached by ourselves before k0sctl is: it would wait
 * ten minutes for one that is not there.
 */
export async function lookAtK0s(
  { hosts, k0sctl, signal }: Pick<Readers, 'hosts' | 'k0sctl'> & { signal: AbortSignal },
  asked: readonly K0sHost[],
  { reachApi = false } = {},
): Promise<Seen[]> {
  return Promise.all(
    asked.map(async host => {
      const ask = { dataDir: host.dataDir, ...(reachApi ? { api: k0sctl.joinAddress() } : {}) }
      return hosts.ours(host.name, signal, async h => {
        const before = Date.now()
        const k0s = await h.k0s(ask, signal)
        // What it runs after its clock takes longer than the way there.
        return { host, k0s, askedAt: before / 1000 }
      })
    }),
  )
}

/** Throws Fault `worker-cannot-reach-api` for a worker that could not join: k0sctl would try for two minutes. */
export function refuseUnreachableApi(seen: readonly Seen[], address: string): void {
  const cut = seen.filter(({ host, k0s }) => host.role === 'worker' && k0s.reachesApi === false)
  if (cut.length === 0) return
  const names = cut.map(s => s.host.name).join(' and ')
  throw new Fault({
    code: 'worker-cannot-reach-api',
    blame: 'network',
    message: `${names} cannot reach the API at ${address}, and could not join; nothing was begun there`,
    remedy: `See what is between them: \`curl -k ${address}/version\` on ${names} must answer (firewall, routes, a name that this cluster itself serves); then run \`recover resume\``,
  })
}

/**
 * What kept workers from joining: of a worker that cannot reach the API, whether anybody can. An API that died meanwhile is
 * the controllers' matter, and passes; nothing is between it and the worker.
 */
export async function whatKeptThemOut(
  thrown: unknown,
  kubernetes: Pick<KubernetesReader, 'ready'>,
): Promise<unknown> {
  if (!(thrown instanceof Fault) || thrown.code !== 'worker-cannot-reach-api') return thrown
  // One that refuses us answers.
  const { ready, why } = await kubernetes.ready().catch(() => ({ ready: true, why: '' }))
  if (ready) return thrown
  return new Fault({
    code: 'api-unreachable',
    blame: 'network',
    message: `no worker could join, since the API does not answer this computer either: ${why}`,
    remedy:
      'Look at k0scontroller on the controller (journalctl -u k0scontroller); it is asked again by itself',
    cause: thrown,
    transient: true,
  })
}
