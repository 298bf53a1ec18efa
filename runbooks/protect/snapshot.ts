import { z } from 'zod'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { type Readers, step } from '../kit.ts'
import { reachNas } from '../preflight/reach-nas.ts'
import { shareNow } from './share-now.ts'

/** The undo of everything that follows: a snapshot on the NAS, before anybody writes. */
export const snapshotVolume = step({
  id: 'protect/snapshot',
  title: volume => `Snapshot the disk of ${volume.claim}`,
  byHand: 'In SAN Manager take a snapshot of the LUN, locked; of a share, in Snapshot Replication.',
  each: eachVolume,
  only: volume => diskHolding(volume) !== undefined,
  needs: [reachNas],
  danger: 'changes',
  serves: ['volumes'],
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({ snapshot: z.string(), name: z.string() }),
  async observe({ volume, nas, run, output }) {
    const name = `recover-${run.id}`
    if (volume.share) return lookAtShareSnapshot(volume, name, nas)
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
    if (volume.share) await nas.snapshotShare(volume.share.uuid, `recover-${run.id}`)
    else await nas.takeSnapshot(volume.lun!.uuid, `recover-${run.id}`, `before recover run ${run.id}`)
  },
})

/** Snapshots of shares have no names: the description says which run took one. */
export async function lookAtShareSnapshot(volume: MappedVolume, name: string, nas: Readers['nas']) {
  const share = await shareNow(volume, nas)
  if (!share.snapshots)
    return blocked(
      'share-unfit',
      `the NAS can take no snapshot of the share ${share.name}, which holds the data of ${volume.claim}: only shares on btrfs have any, and without one there would be no way back`,
      'Say `new` for the claim in recover.yaml (volumes), with a PersistentVolume in Git that leads to the share: it is left alone then',
    )
  const found = (await nas.shareSnapshots(share.uuid)).find(s => s.description === name)
  return found
    ? done(
        { snapshot: found.time, name },
        `snapshot ${name} of the share ${share.name} (${found.time}) is on the NAS`,
      )
    : due(`take the snapshot ${name} of the share ${share.name}`)
}
