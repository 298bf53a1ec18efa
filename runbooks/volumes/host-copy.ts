import { z } from 'zod'
import { lunOf, targetOf } from '../../src/nas/lists.ts'
import { done, due } from '../../src/runbook/step.ts'
import { mustFit } from '../../src/volumes/static-volume.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { fenced } from '../protect/fenced.ts'
import { bindTo, boundToAnother } from './bind.ts'
import { bindingOf } from './binding.ts'
import { copyOnHost } from './copy-on-host.ts'
import { diskOf, modesOf } from './disk.ts'
import { measureVolume } from './measure.ts'
import { noStrangers } from './no-strangers.ts'

/** The new disk that a machine has filled, bound to the claim. The old disk stays as it was, with its target off. */
export const adoptHostCopy = step({
  id: 'volumes/host-copy',
  title: volume => `Bind ${volume.claim} to the disk that was copied on a host`,
  byHand:
    'Enable the new LUN’s target; apply a PersistentVolume (Retain, volumeHandle = its uuid, claimRef without uid), then the claim with volumeName; see that it is Bound to that volume.',
  each: eachVolume,
  only: volume => volume.strategy === 'host-copy' && volume.lun !== undefined,
  needs: [measureVolume, copyOnHost],
  danger: 'changes',
  bounds: { expected: '10s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe({ volume, kubernetes, nas, output }) {
    const { disk, host } = output(copyOnHost)
    const target = targetOf(await nas.targets(), disk)
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state === 'bound' && binding.handle !== disk)
      throw boundToAnother(volume.claim, binding.handle, disk)
    if (binding.state === 'bound' && target?.enabled)
      return done(
        { pv: binding.pv, handle: disk },
        `${volume.claim} is bound to the new disk ${disk}, which ${host} copied its files to`,
      )
    return due(
      ...(target?.enabled ? [] : [`switch on target ${target?.name ?? `of ${disk}`}`]),
      ...(binding.state === 'bound' ? [] : [`bind ${volume.claim} to the new disk ${disk}`]),
    )
  },
  async apply(act) {
    const { volume, cluster, nas, output, note } = act
    const { disk } = output(copyOnHost)
    const luns = await nas.luns()
    const targets = await nas.targets()
    const { driver } = diskOf(cluster, volume, volume.lun!)
    const accessModes = modesOf(cluster, volume.claim)
    mustFit({ claim: volume.claim, lun: disk, driver, accessModes }, luns, targets)
    await noStrangers(act)
    note(`fence of ${volume.claim}: ${await fenced(volume, act)}`)
    const target = targetOf(targets, disk)!
    await nas.setTargetEnabled(target.id, true)
    await bindTo(volume, lunOf(luns, disk)!, act)
  },
})
