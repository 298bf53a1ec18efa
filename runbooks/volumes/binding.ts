import type { KubernetesReader } from '../../src/kubernetes/kubernetes.ts'

/** What a claim is bound to. */
export type Binding =
  | { state: 'absent' }
  | { state: 'pending'; why: string }
  | { state: 'bound'; pv: string; handle: string }

/** Follows a claim to its volume and to the disk behind it. */
export async function bindingOf(kubernetes: KubernetesReader, claim: string): Promise<Binding> {
  const [namespace = '', name = ''] = claim.split('/')
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name })
  if (!live) return { state: 'absent' }
  const status = live.status as { phase?: string; conditions?: { message?: string }[] } | undefined
  const pv = (live.spec as { volumeName?: string } | undefined)?.volumeName
  if (status?.phase !== 'Bound' || pv === undefined)
    return { state: 'pending', why: status?.conditions?.[0]?.message ?? status?.phase ?? 'it is new' }
  const volume = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolume', name: pv })
  const csi = (volume?.spec as { csi?: { volumeHandle?: string } } | undefined)?.csi
  return { state: 'bound', pv, handle: csi?.volumeHandle ?? '' }
}
