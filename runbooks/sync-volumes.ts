import { phase, runbook } from '../src/runbook/runbook.ts'
import { reachNas } from './preflight/reach-nas.ts'
import { cloneMove } from './sync/clone.ts'
import { copyMove } from './sync/copy.ts'
import { dropMovedClone } from './sync/drop-clone.ts'
import { fenceMove } from './sync/fence.ts'
import { findCluster } from './sync/find-cluster.ts'
import { holdParents } from './sync/hold-parents.ts'
import { keepDisk } from './sync/keep-disk.ts'
import { lookAtClaims } from './sync/look-at-claims.ts'
import { measureMove } from './sync/measure.ts'
import { releaseOwners } from './sync/release.ts'
import { releaseParents } from './sync/release-parents.ts'
import { snapshotMove } from './sync/snapshot.ts'
import { stopOwners } from './sync/stop-owners.ts'
import { swapDisk } from './sync/swap.ts'
import { verifyMove } from './sync/verify.ts'

/** Gives claims of a living cluster new disks, as Git wants them, with their data. */
export const syncVolumes = runbook('sync-volumes', 'Give claims of a living cluster new disks', [
  phase('preflight', 'Preflight', [findCluster, reachNas]),
  phase('evidence', 'Evidence', [lookAtClaims]),
  phase('protect', 'Protect', [keepDisk, holdParents, stopOwners, fenceMove, snapshotMove]),
  phase('volumes', 'Volumes', [measureMove, copyMove, cloneMove, verifyMove, swapDisk, dropMovedClone]),
  phase('release', 'Release', [releaseOwners, releaseParents]),
])
