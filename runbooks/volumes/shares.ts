import { statedVolumeTo } from '../../src/cluster/stated.ts'
import { shareNamed } from '../../src/nas/lists.ts'
import type { Share } from '../../src/nas/nas.ts'
import { type Acting, done, due, type Observation } from '../../src/runbook/step.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { heldSnapshot } from '../../src/volumes/old-disks.ts'
import { mustFitShare } from '../../src/volumes/static-volume.ts'
import type { Readers, Writers } from '../kit.ts'
import { fenced } from '../protect/fenced.ts'
import { shareNow } from '../protect/share-now.ts'
import { attachedTo } from '../sync/clients.ts'
import { usersNow } from '../sync/users.ts'
import { isAdopted } from './adopted.ts'
import { bindTo, boundToAnother } from './bind.ts'
import { bindingOf } from './binding.ts'
import { keptShareName } from './source.ts'

type Look = Pick<Readers, 'kubernetes' | 'nas' | 'run'>
type Act = Writers & Pick<Acting, 'note' | 'wait' | 'signal'>
type Bound = Observation<{ pv: string; handle: string }>

/** Whether a claim is bound to its old share again, and the fence of that was proven by this run. */
export async function lookAtAdoptedShare(volume: MappedVolume, { kubernetes, run }: Look): Promise<Bound> {
  const { uuid, name } = volume.share!
  const binding = await bindingOf(kubernetes, volume.claim)
  if (binding.state !== 'bound') return due(`bind ${volume.claim} to the share ${name} (${uuid})`)
  if (binding.handle !== uuid) throw boundToAnother(volume.claim, binding.handle, uuid)
  if (!(await isAdopted(binding.pv, run.id, kubernetes)))
    return due(`prove the fence of the share ${name}, to which ${volume.claim} is bound already`)
  return done(
    { pv: binding.pv, handle: uuid },
    `${volume.claim} is bound to the share ${name} itself (${uuid})`,
  )
}

/**
 * Binds a claim to its old share again. Its NFS rules stay closed until the CSI driver mounts it: that lets in the nodes of
 * this cluster, and nobody else.
 */
export async function adoptShare(volume: MappedVolume, act: Act): Promise<void> {
  const share = await mustBeMountable(volume, act)
  act.note(`fence of ${volume.claim}: ${await fenced(volume, act)}`)
  await bindTo(volume, { ...share, sizeBytes: volume.share!.sizeBytes }, act)
}

/**
 * The snapshot by which a volume is measured: the one from before everything. Pods that come back with a restored control
 * plane do not wait for a share, as they do for a LUN whose target is off: the CSI driver opens it for them. What they wrote
 * until they were stopped belongs to the data, so that there a share is measured as it is when nobody uses it any more.
 */
export async function baselineOf(
  volume: MappedVolume,
  snapshot: string,
  { cluster, kubernetes, nas, run, note, wait }: Act,
): Promise<string> {
  if (!volume.share || !cluster.restore) return snapshot
  await wait(`whatever came back with the control plane to let go of ${volume.claim}`, async () => {
    const binding = await bindingOf(kubernetes, volume.claim)
    const attached = binding.state === 'bound' ? await attachedTo(binding.pv, kubernetes) : []
    return attached.length + (await usersNow(kubernetes, [volume.claim])).length === 0 || undefined
  })
  note(
    `the share ${volume.share.name} is measured as whatever came back with the control plane left it: nothing kept that from it`,
  )
  return (await nas.snapshotShare(volume.share.uuid, heldSnapshot(run.id))).time
}

/** Whether a claim is bound to a clone of its old share. */
export async function lookAtClonedShare(
  volume: MappedVolume,
  { kubernetes, nas, run }: Look,
): Promise<Bound> {
  const name = keptShareName(volume, run)
  const clone = shareNamed(await nas.shares(), name)
  const binding = await bindingOf(kubernetes, volume.claim)
  if (binding.state === 'bound' && binding.handle !== clone?.uuid)
    throw boundToAnother(volume.claim, binding.handle, clone?.uuid ?? `the clone ${name}`)
  if (binding.state === 'bound' && clone)
    return done(
      { pv: binding.pv, handle: clone.uuid },
      `${volume.claim} is bound to the share ${name} (${clone.uuid}), a clone of ${volume.share!.name}`,
    )
  return due(
    ...(clone ? [] : [`clone the share ${volume.share!.name} as ${name} on the NAS`]),
    `bind ${volume.claim} to the clone`,
  )
}

/** Clones a volume's old share by its snapshot and binds the clone to the claim. The old share stays closed. */
export async function cloneShare(volume: MappedVolume, snapshot: string, act: Act): Promise<void> {
  await mustBeMountable(volume, act)
  act.note(`fence of ${volume.claim}: ${await fenced(volume, act)}`)
  const clone = await act.nas.cloneShare(
    { share: volume.share!.uuid, snapshot },
    // The NAS shows it beside the share, and a later recovery finds whose it is.
    { name: keptShareName(volume, act.run), description: volume.claim },
  )
  await bindTo(volume, { ...clone, sizeBytes: volume.share!.sizeBytes }, act)
}

/** The share as it is now, that the driver can mount through a volume of ours. Throws Fault `share-unfit`, `share-gone`. */
async function mustBeMountable(volume: MappedVolume, { cluster, nas }: Act): Promise<Share> {
  const share = await shareNow(volume, nas)
  const stated = statedVolumeTo(cluster.inventory, share.uuid)
  mustFitShare(volume.claim, share, stated?.attributes)
  return share
}
