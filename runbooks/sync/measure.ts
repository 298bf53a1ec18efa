import { step } from '../kit.ts'
import { lookAtMeasurement, measureClone, measuredClone } from '../volumes/measure.ts'
import { eachMove } from './look-at-claims.ts'
import { diskLike } from './moves.ts'
import { snapshotMove } from './snapshot.ts'

/** The hashes of everything on the old disk, taken from a clone of its snapshot. */
export const measureMove = step({
  id: 'volumes/measure',
  title: volume => `Measure what ${volume.claim} holds`,
  byHand:
    'Clone the snapshot in SAN Manager, give the clone a PersistentVolume (mountOptions: [ro]) and a claim, mount it in a Job and run `find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`.',
  each: eachMove,
  needs: [snapshotMove],
  danger: 'changes',
  bounds: { expected: '1m', limit: '12h' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/drop-clone',
  uses: () => ['nas'],
  output: measuredClone,
  observe: look => lookAtMeasurement(look.volume, look),
  apply: act =>
    measureClone(act.volume, act.output(snapshotMove).snapshot, lun => diskLike(act.volume, lun), act),
})
