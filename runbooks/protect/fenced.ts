import { assertSameMachine } from '../../src/hosts/power/identity.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { proveFence, proveShareFence, type Standing } from '../../src/volumes/fence.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import type { Readers } from '../kit.ts'
import { shareNow } from './share-now.ts'

type Look = Pick<Readers, 'cluster' | 'hosts' | 'kubernetes' | 'nas' | 'run'> & { signal: AbortSignal }

/**
 * The fence of a volume's old disk, proven anew from the machines and the NAS. Every step that writes for the sake of a
 * volume asks for it right before it does; throws what {@link proveFence} throws. Nothing is asked for a volume that has
 * no old disk.
 */
export async function fenced(volume: MappedVolume, look: Look): Promise<string> {
  const { cluster, kubernetes, nas } = look
  if (diskHolding(volume) === undefined) return 'it has no old disk'
  const hosts = await Promise.all(cluster.k0sctl.hosts.map(({ name }) => standingOf(name, look)))
  // Last of all: sessions and rules change from one moment to the next.
  if (volume.lun)
    return proveFence({ claim: volume.claim, lun: volume.lun, targets: await nas.targets(), hosts })
  const nodes = addressesOf(await kubernetes.list({ apiVersion: 'v1', kind: 'Node' }))
  return proveShareFence({ claim: volume.claim, share: await shareNow(volume, nas), nodes, hosts })
}

/** What the CSI driver lets in by NFS: every node by its internal address. */
export function addressesOf(nodes: KubernetesObject[]): string[] {
  return nodes.flatMap(({ status }) =>
    ((status as { addresses?: { type: string; address: string }[] } | undefined)?.addresses ?? [])
      .filter(a => a.type === 'InternalIP')
      .map(a => a.address),
  )
}

async function standingOf(
  host: string,
  { hosts, kubernetes, run, signal }: Omit<Look, 'cluster' | 'nas'>,
): Promise<Standing> {
  const probe = await hosts.probe(host, signal)
  if (probe.state === 'answers') {
    const facts = await hosts.ours(host, signal, h => h.facts(signal))
    if (facts.run?.run === run.id) return { host, is: 'reinstalled', initiator: facts.initiator }
  }
  const node = await kubernetes.get({ apiVersion: 'v1', kind: 'Node', name: host }).catch(() => undefined)
  if (node && lacks(node) === undefined) return { host, is: 'member' }
  const power = hosts.power(host)
  if (power && power.kind !== 'wake-on-lan' && (await power.state(signal)) === 'off') {
    // Another machine's being off would prove nothing.
    const { known, vouched } = await hosts.situation(host, signal)
    assertSameMachine(host, power.where, await power.identity(signal), known, vouched)
    return { host, is: 'off' }
  }
  return { host, is: 'unknown', why: power ? 'it is not switched off' : 'nobody can ask whether it is off' }
}
