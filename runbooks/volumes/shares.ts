import { statedVolumeTo } from '../../src/cluster/stated.ts'
import { shareNamed } from '../../src/nas/lists.ts'
import type { Share } from '../../src/nas/nas.ts'
import { type Acting, done, due, type Observation } from '../../src/runbook/step.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { mustFitShare } from '../../src/volumes/static-volume.ts'
import type { Readers, Writers } from '../kit.ts'
import { fenced } from '../protect/fenced.ts'
import { shareNow } from '../protect/share-now.ts'
import { bindTo, boundToAnother } from './bind.ts'
import { bindingOf } from './binding.ts'
import { keptShareName } from './source.ts'

type Look = Pick<Readers, 'kubernetes' | 'nas' | 'run'>
type Act = Writers & Pick<Acting, 'note' | 'wait' | 'signal'>
type Bound = Observation<{ pv: string; handle: string }>

/** Whether a claim is bound to its old share again. */
export async function lookAtAdoptedShare(volume: MappedVolume, { kubernetes }: Look): Promise<Bound> {
  const { uuid, name } = volume.share!
  const binding = await bindingOf(kubernetes, volume.claim)
  if (binding.state !== 'bound') return due(`bind ${volume.claim} to the share ${name} (${uuid})`)
  if (binding.handle !== uuid) throw boundToAnother(volume.claim, binding.handle, uuid)
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
