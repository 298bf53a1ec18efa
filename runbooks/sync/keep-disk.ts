import { z } from 'zod'
import type { KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { handleOf } from '../../src/volumes/moves.ts'
import { step } from '../kit.ts'
import { eachMove, lookAtClaims } from './look-at-claims.ts'
import { type Move, oldDisk } from './moves.ts'
import { sameCluster } from './same-cluster.ts'

/** The old disk outlives its claim: a volume with the policy Delete takes its LUN or share along, and the NAS has no trash. */
export const keepDisk = step({
  id: 'protect/keep-disk',
  title: volume => `Keep the disk of ${volume.claim} whatever happens to its claim`,
  byHand:
    'kubectl patch pv PV -p \'{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}\', before anything else.',
  each: eachMove,
  needs: [lookAtClaims],
  danger: 'changes',
  bounds: { expected: '1s', limit: '2m' },
  retry: { times: 4, delay: '2s' },
  holdsUntil: 'volumes/swap',
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe(look) {
    sameCluster(look)
    const { volume, kubernetes } = look
    return (await policyOf(volume, kubernetes)) === 'Retain'
      ? done({}, `the PersistentVolume ${volume.pv} keeps its disk (Retain)`)
      : due(`set the reclaim policy of the PersistentVolume ${volume.pv} to Retain`)
  },
  async apply({ volume, kubernetes }) {
    await kubernetes.patch(
      { apiVersion: 'v1', kind: 'PersistentVolume', name: volume.pv },
      { spec: { persistentVolumeReclaimPolicy: 'Retain' } },
    )
  },
})

/** What becomes of the old disk when its claim goes. Throws Fault `volume-moved` where the volume leads elsewhere now. */
export async function policyOf(volume: Move, kubernetes: KubernetesReader): Promise<string> {
  const { claim, pv } = volume
  const { uuid, name } = oldDisk(volume)
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolume', name: pv })
  if (live && handleOf(live) === uuid)
    return (live.spec as { persistentVolumeReclaimPolicy?: string }).persistentVolumeReclaimPolicy ?? 'Delete'
  throw new Fault({
    code: 'volume-moved',
    blame: 'operator',
    message: `the PersistentVolume ${pv} of ${claim} ${live ? `leads to ${handleOf(live) ?? 'no disk of the NAS'} now` : 'is gone'}, not to ${name}; nothing was deleted`,
    remedy: 'Somebody else works on it: find out who, and begin again with `recover volumes plan`',
  })
}
