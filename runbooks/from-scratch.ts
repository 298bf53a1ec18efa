import { phase, runbook } from '../src/runbook/runbook.ts'
import { mapTheVolumes } from './evidence/map-volumes.ts'
import { bringUpInstaller } from './hosts/bring-up-installer.ts'
import { holdOsUpdates } from './hosts/hold-os-updates.ts'
import { installFlatcar } from './hosts/install-flatcar.ts'
import { checkArtifacts } from './preflight/check-artifacts.ts'
import { reachNas } from './preflight/reach-nas.ts'
import { resumeOsUpdates } from './proof/resume-os-updates.ts'
import { fenceVolume } from './protect/fence.ts'
import { snapshotVolume } from './protect/snapshot.ts'

/** From blank disks to machines that are this run's own, with every old disk found, snapshotted and fenced before. */
export const fromScratch = runbook('from-scratch', 'Recover the cluster from scratch', [
  phase('preflight', 'Preflight', [checkArtifacts, reachNas]),
  phase('evidence', 'Evidence', [mapTheVolumes]),
  phase('protect', 'Protect', [snapshotVolume, fenceVolume]),
  phase('hosts', 'Hosts', [bringUpInstaller, installFlatcar, holdOsUpdates]),
  phase('proof', 'Proof', [resumeOsUpdates]),
])
