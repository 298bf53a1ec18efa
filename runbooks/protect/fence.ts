import { z } from 'zod'
import { targetOf } from '../../src/nas/lists.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { diskHolding } from '../../src/volumes/map.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { lookAtShareRules } from './close-share.ts'
import { snapshotVolume } from './snapshot.ts'

/**
 * Nobody can write to the old disk: its target is switched off and no session is left, or a share's NFS rules let nobody in. A machine that only lost its
 * network would come back and write; an empty list of sessions alone proves only "not now".
 */
export const fenceVolume = step({
  id: 'protect/fence',
  title: volume => `Fence the disk of ${volume.claim}`,
  byHand:
    'In SAN Manager disable the LUN’s target and see that nobody is connected. Switch off any old machine that still is. Of a share, set every NFS rule to no access.',
  each: eachVolume,
  only: volume => diskHolding(volume) !== undefined,
  needs: [snapshotVolume],
  danger: 'changes',
  // Machines that are installed anew write to no old disk; without the volumes' phases nobody else does.
  serves: ['volumes'],
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '5s' },
  // Its target is switched on again, for the new machines, when the disk is adopted.
  holdsUntil: 'volumes/adopt',
  uses: () => ['nas'],
  output: z.strictObject({ target: z.string() }),
  async observe({ volume, nas }) {
    if (volume.share) return lookAtShareRules(volume, { nas })
    const target = targetOf(await nas.targets(), volume.lun!.uuid)
    if (!target)
      return done({ target: '' }, `${volume.lun!.name} is mapped to no target: nobody can reach it`)
    const changes = [
      ...(target.enabled ? [`switch off target ${target.name}`] : []),
      ...(target.sessions.length > 0
        ? [`end the sessions of ${target.sessions.map(s => `${s.initiator} (${s.ip})`).join(', ')}`]
        : []),
    ]
    return changes.length === 0
      ? done({ target: target.name }, `target ${target.name} is off and has no session`)
      : due(...changes)
  },
  async apply({ volume, nas }) {
    if (volume.share) {
      await nas.closeShare(volume.share.uuid)
      return
    }
    const target = targetOf(await nas.targets(), volume.lun!.uuid)
    if (!target) return
    const after = await nas.setTargetEnabled(target.id, false)
    if (after.sessions.length === 0) return
    throw new Fault({
      code: 'old-writer-alive',
      blame: 'host',
      message: `${after.sessions.map(s => `${s.initiator} at ${s.ip}`).join(', ')} is still logged in to the disk of ${volume.claim} although its target is off`,
      remedy: 'Switch that machine off (pull its plug if it does not listen), then run `recover resume`',
    })
  },
})
