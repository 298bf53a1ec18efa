import { z } from 'zod'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { reachNas } from '../preflight/reach-nas.ts'

/** The undo of everything that follows: a snapshot on the NAS, before anybody writes. */
export const snapshotVolume = step({
  id: 'protect/snapshot',
  title: volume => `Snapshot the disk of ${volume.claim}`,
  byHand: 'In SAN Manager take a snapshot of the LUN, locked.',
  each: eachVolume,
  only: volume => volume.lun !== undefined,
  needs: [reachNas],
  danger: 'changes',
  serves: ['volumes'],
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({ snapshot: z.string(), name: z.string() }),
  async observe({ volume, nas, run, output }) {
    const name = `recover-${run.id}`
    const taken = await nas.snapshots(volume.lun!.uuid)
    const found = taken.find(s => s.name === name)
    const most = output(reachNas).snapshotsPerLun
    if (!found && most > 0 && taken.length >= most)
      return blocked(
        'nas-snapshots-full',
        `${volume.lun!.name} has ${taken.length} snapshots, and this NAS keeps no more than ${most} of one LUN`,
        'Delete one that nobody needs in SAN Manager, and let its schedule keep fewer',
      )
    return found
      ? done({ snapshot: found.uuid, name }, `snapshot ${name} of ${volume.lun!.name} is on the NAS`)
      : due(`take the snapshot ${name} of ${volume.lun!.name}`)
  },
  async apply({ volume, nas, run }) {
    await nas.takeSnapshot(volume.lun!.uuid, `recover-${run.id}`, `before recover run ${run.id}`)
  },
})
