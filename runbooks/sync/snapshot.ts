import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { lookAtShareSnapshot } from '../protect/snapshot.ts'
import { fenceMove } from './fence.ts'
import { eachMove } from './look-at-claims.ts'
import { oldDisk } from './moves.ts'

/** What the disk held when its last writer had ended: what is copied, and the way back. */
export const snapshotMove = step({
  id: 'protect/snapshot',
  title: volume => `Snapshot the disk of ${volume.claim}`,
  byHand: 'In SAN Manager take a snapshot of the LUN, locked; of a share, in Snapshot Replication.',
  each: eachMove,
  needs: [fenceMove],
  danger: 'changes',
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({ snapshot: z.string(), name: z.string() }),
  async observe({ volume, nas, run }) {
    const name = `recover-${run.id}`
    if (volume.share) return lookAtShareSnapshot(volume, name, nas)
    const lun = oldDisk(volume)
    const found = (await nas.snapshots(lun.uuid)).find(s => s.name === name)
    return found
      ? done({ snapshot: found.uuid, name }, `snapshot ${name} of ${lun.name} is on the NAS`)
      : due(`take the snapshot ${name} of ${lun.name}`)
  },
  async apply({ volume, nas, run }) {
    const { uuid } = oldDisk(volume)
    if (volume.share) await nas.snapshotShare(uuid, `recover-${run.id}`)
    else await nas.takeSnapshot(uuid, `recover-${run.id}`, `before recover run ${run.id}`)
  },
})
