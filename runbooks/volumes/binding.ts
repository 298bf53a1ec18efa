import type { KubernetesObject, KubernetesReader } from '../../src/kubernetes/kubernetes.ts'

/** What a claim is bound to. */
export type Binding =
  | { state: 'absent' }
  | { state: 'pending'; why: string }
  | { state: 'bound'; pv: string; handle: string }

/** Follows a claim to its volume and to the disk behind it. */
export async function bindingOf(kubernetes: KubernetesReader, claim: string): Promise<Binding> {
  const [namespace = '', name = ''] = claim.split('/')
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name })
  const pv = volumeOf(live)
  return bindingAs(
    live,
    pv === undefined
      ? undefined
      : await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolume', name: pv }),
  )
}

/** What a claim is bound to, of which it and its volume are known. */
export function bindingAs(live: KubernetesObject | undefined, volume: KubernetesObject | undefined): Binding {
  if (!live) return { state: 'absent' }
  const pv = volumeOf(live)
  const status = live.status as { phase?: string; conditions?: { message?: string }[] } | undefined
  if (pv === undefined)
    return { state: 'pending', why: status?.conditions?.[0]?.message ?? status?.phase ?? 'it is new' }
  const csi = (volume?.spec as { csi?: { volumeHandle?: string } } | undefined)?.csi
  return { state: 'bound', pv, handle: csi?.volumeHandle ?? '' }
}

/** Name of the volume that a claim is bound to. */
export function volumeOf(live: KubernetesObject | undefined): string | undefined {
  const bound = (live?.status as { phase?: string } | undefined)?.phase === 'Bound'
  return bound ? (live?.spec as { volumeName?: string } | undefined)?.volumeName : undefined
}
