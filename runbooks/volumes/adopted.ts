import type { KubernetesReader, KubernetesWriter } from '../../src/kubernetes/kubernetes.ts'

/** On a PersistentVolume, the run that proved the fence of its disk and bound it. */
const mark = 'recover.dev/adopted'

/**
 * Whether a run has adopted the disk of a PersistentVolume. That the claim is bound to it does not say so: a restored control
 * plane has its claims bound from the first moment on.
 */
export async function isAdopted(pv: string, run: string, kubernetes: KubernetesReader): Promise<boolean> {
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolume', name: pv })
  return live?.metadata.annotations?.[mark] === run
}

/** Notes that it has, once everything about it is proven. */
export async function markAdopted(pv: string, run: string, kubernetes: KubernetesWriter): Promise<void> {
  await kubernetes.patch(
    { apiVersion: 'v1', kind: 'PersistentVolume', name: pv },
    { metadata: { annotations: { [mark]: run } } },
  )
}
