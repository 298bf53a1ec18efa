import { z } from 'zod'
import { targetOf } from '../../src/nas/lists.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import { mustFit } from '../../src/volumes/static-volume.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step, type Writers } from '../kit.ts'
import { fenceVolume } from '../protect/fence.ts'
import { fenced } from '../protect/fenced.ts'
import { isAdopted, markAdopted } from './adopted.ts'
import { bindTo, boundToAnother } from './bind.ts'
import { bindingOf } from './binding.ts'
import { diskOf, modesOf } from './disk.ts'
import { mustBeStatedRightly } from './file-system.ts'
import { measureVolume } from './measure.ts'
import { noStrangers } from './no-strangers.ts'
import { adoptShare, lookAtAdoptedShare } from './shares.ts'

/** The old LUN or share itself, bound to its claim again. Nothing is moved; the snapshot is the way back. */
export const adoptVolume = step({
  id: 'volumes/adopt',
  title: volume => `Adopt the disk of ${volume.claim}`,
  byHand:
    'Enable the LUN’s target; apply a PersistentVolume (Retain, volumeHandle = the LUN’s uuid, claimRef without uid), then the claim with volumeName; see that it is Bound to that volume. For a share of NFS: volumeAttributes protocol nfs, source //DSM/SHARE, baseDir /VOLUME/SHARE.',
  each: eachVolume,
  only: volume => volume.strategy === 'adopt' && diskHolding(volume) !== undefined,
  needs: [measureVolume, fenceVolume],
  danger: 'changes',
  bounds: { expected: '10s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe({ volume, kubernetes, nas, run }) {
    if (volume.share) return lookAtAdoptedShare(volume, { kubernetes, nas, run })
    const { uuid, name } = volume.lun!
    const target = targetOf(await nas.targets(), uuid)
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state === 'bound' && binding.handle !== uuid)
      throw boundToAnother(volume.claim, binding.handle, uuid)
    const adopted = binding.state === 'bound' && (await isAdopted(binding.pv, run.id, kubernetes))
    if (binding.state === 'bound' && target?.enabled && adopted)
      return done({ pv: binding.pv, handle: uuid }, `${volume.claim} is bound to ${name} itself (${uuid})`)
    return due(
      ...(target?.enabled ? [] : [`switch on target ${target?.name ?? `of ${name}`} again`]),
      ...(binding.state === 'bound' ? [] : [`bind ${volume.claim} to ${name} (${uuid})`]),
      ...(binding.state === 'bound' && !adopted
        ? [`prove the fence of ${name}, to which ${volume.claim} is bound already`]
        : []),
    )
  },
  async apply(act) {
    const { volume, cluster, nas, note, output } = act
    if (volume.share) {
      await noStrangers(act)
      await adoptShare(volume, act)
      return noteAdopted(act)
    }
    const { uuid } = volume.lun!
    const { fsType } = output(measureVolume)
    mustBeStatedRightly(cluster, volume, fsType)
    const targets = await nas.targets()
    const { driver } = diskOf(cluster, volume, volume.lun!)
    const accessModes = modesOf(cluster, volume.claim)
    mustFit({ claim: volume.claim, lun: uuid, driver, accessModes }, await nas.luns(), targets)
    await noStrangers(act)
    note(`fence of ${volume.claim}: ${await fenced(volume, act)}`)
    const target = targetOf(targets, uuid)!
    await nas.setTargetEnabled(target.id, true)
    try {
      // A machine that was only waiting for the target comes back within seconds: seen before anything is written.
      await fenced(volume, act)
      await bindTo(volume, volume.lun!, act, fsType)
      await fenced(volume, act)
      await noteAdopted(act)
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.code === 'old-writer-alive')
        await nas.setTargetEnabled(target.id, false)
      throw thrown
    }
  },
})

async function noteAdopted({
  volume,
  kubernetes,
  run,
}: { volume: MappedVolume } & Pick<Writers, 'kubernetes' | 'run'>) {
  const binding = await bindingOf(kubernetes, volume.claim)
  if (binding.state === 'bound') await markAdopted(binding.pv, run.id, kubernetes)
}
