import { z } from 'zod'
import { lunNamed, targetOf } from '../../src/nas/lists.ts'
import { done, due } from '../../src/runbook/step.ts'
import { diskHolding } from '../../src/volumes/map.ts'
import { mustFit } from '../../src/volumes/static-volume.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { fenceVolume } from '../protect/fence.ts'
import { fenced } from '../protect/fenced.ts'
import { snapshotVolume } from '../protect/snapshot.ts'
import { bindTo, boundToAnother } from './bind.ts'
import { bindingOf } from './binding.ts'
import { diskOf, modesOf } from './disk.ts'
import { mustBeStatedRightly } from './file-system.ts'
import { measureVolume } from './measure.ts'
import { noStrangers } from './no-strangers.ts'
import { cloneShare, lookAtClonedShare } from './shares.ts'
import { keptCloneName } from './source.ts'

/**
 * A clone of the old disk, made on the NAS without moving a byte, bound to the claim in its place. The old disk stays as it
 * was, bit by bit, with its target off.
 */
export const cloneVolume = step({
  id: 'volumes/clone',
  title: volume => `Clone the disk of ${volume.claim} and bind the clone`,
  byHand:
    'In SAN Manager clone the LUN’s snapshot under a name that begins with k8s-csi-, write NAMESPACE/CLAIM into its description, give it a target of its own; apply a PersistentVolume with the clone’s uuid, then the claim with volumeName.',
  each: eachVolume,
  only: volume => volume.strategy === 'clone' && diskHolding(volume) !== undefined,
  needs: [measureVolume, fenceVolume],
  danger: 'changes',
  bounds: { expected: '30s', limit: '30m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe({ volume, kubernetes, nas, run }) {
    if (volume.share) return lookAtClonedShare(volume, { kubernetes, nas, run })
    const name = keptCloneName(volume, run)
    const clone = lunNamed(await nas.luns(), name)
    const target = targetOf(await nas.targets(), clone?.uuid)
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state === 'bound' && binding.handle !== clone?.uuid)
      throw boundToAnother(volume.claim, binding.handle, clone?.uuid ?? `the clone ${name}`)
    if (binding.state === 'bound' && clone && target?.enabled)
      return done(
        { pv: binding.pv, handle: clone.uuid },
        `${volume.claim} is bound to ${name} (${clone.uuid}), a clone of ${volume.lun!.name}`,
      )
    return due(
      ...(clone ? [] : [`clone ${volume.lun!.name} as ${name} on the NAS`]),
      `bind ${volume.claim} to the clone`,
    )
  },
  async apply(act) {
    const { volume, cluster, nas, run, output, note } = act
    await noStrangers(act)
    if (volume.share) return cloneShare(volume, output(snapshotVolume).snapshot, act)
    const { fsType } = output(measureVolume)
    mustBeStatedRightly(cluster, volume, fsType)
    note(`fence of ${volume.claim}: ${await fenced(volume, act)}`)
    const clone = await nas.clone(
      { lun: volume.lun!.uuid, snapshot: output(snapshotVolume).snapshot },
      // As the CSI driver writes it, so that a later look at the NAS finds whose it is.
      { name: keptCloneName(volume, run), description: volume.claim },
    )
    const { driver } = diskOf(cluster, volume, clone)
    const accessModes = modesOf(cluster, volume.claim)
    const wanted = { claim: volume.claim, lun: clone.uuid, driver, accessModes }
    mustFit(wanted, await nas.luns(), await nas.targets())
    await bindTo(volume, clone, act, fsType)
  },
})
