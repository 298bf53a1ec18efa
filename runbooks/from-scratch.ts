import { phase, runbook } from '../src/runbook/runbook.ts'
import { checkAnswer } from './applications/check.ts'
import { releaseApplication } from './applications/release.ts'
import { releaseSet } from './applications/release-set.ts'
import { settleApplication } from './applications/settle.ts'
import { applyPart } from './bootstrap/apply-part.ts'
import { giveSecrets } from './bootstrap/give-secrets.ts'
import { holdApplication } from './bootstrap/hold-applications.ts'
import { nodesReady } from './bootstrap/nodes-ready.ts'
import { proveNetwork } from './bootstrap/prove-network.ts'
import { proveOnePassword } from './bootstrap/prove-onepassword.ts'
import { serveRepository } from './bootstrap/serve-repository.ts'
import { unlockOnePassword } from './bootstrap/unlock-onepassword.ts'
import { whichClusterItWas } from './evidence/former-cluster.ts'
import { mapTheVolumes } from './evidence/map-volumes.ts'
import { keepHostFiles, surveyHost } from './evidence/survey-hosts.ts'
import { whatWaits } from './evidence/what-waits.ts'
import { bringUpInstaller } from './hosts/bring-up-installer.ts'
import { holdOsUpdates } from './hosts/hold-os-updates.ts'
import { installFlatcar } from './hosts/install-flatcar.ts'
import { checkHosts } from './kubernetes/check-hosts.ts'
import { startControllers } from './kubernetes/controllers.ts'
import { fetchAccess } from './kubernetes/kubeconfig.ts'
import { restoreControlPlane } from './kubernetes/restore.ts'
import { joinWorkers } from './kubernetes/workers.ts'
import { checkApplications } from './preflight/check-applications.ts'
import { checkArchive } from './preflight/check-archive.ts'
import { checkBootstrap } from './preflight/check-bootstrap.ts'
import { checkDisk } from './preflight/check-disk.ts'
import { checkIgnitions } from './preflight/check-ignition.ts'
import { checkImages } from './preflight/check-images.ts'
import { checkK0sctl } from './preflight/check-k0sctl.ts'
import { checkLadder } from './preflight/check-ladder.ts'
import { checkManifests } from './preflight/check-manifests.ts'
import { checkSecrets } from './preflight/check-secrets.ts'
import { checkTang } from './preflight/check-tang.ts'
import { chooseBackups } from './preflight/choose-backups.ts'
import { findRoom } from './preflight/find-room.ts'
import { reachNas } from './preflight/reach-nas.ts'
import { reachRepository } from './preflight/reach-repository.ts'
import { disarm } from './proof/disarm.ts'
import { resumeOsUpdates } from './proof/resume-os-updates.ts'
import { stopServing } from './proof/stop-serving.ts'
import { tidyUp } from './proof/tidy-up.ts'
import { whatRemains } from './proof/what-remains.ts'
import { fenceVolume } from './protect/fence.ts'
import { snapshotVolume } from './protect/snapshot.ts'
import { adoptVolume } from './volumes/adopt.ts'
import { cloneVolume } from './volumes/clone.ts'
import { copyVolume } from './volumes/copy.ts'
import { copyOnHost } from './volumes/copy-on-host.ts'
import { dropClone } from './volumes/drop-clone.ts'
import { dropRestore } from './volumes/drop-restore.ts'
import { adoptHostCopy } from './volumes/host-copy.ts'
import { letThrough } from './volumes/let-through.ts'
import { measureVolume } from './volumes/measure.ts'
import { restoreVolume } from './volumes/restore.ts'
import { verifyVolume } from './volumes/verify.ts'

/** From blank disks to healthy applications with their data. */
export const fromScratch = runbook('from-scratch', 'Recover the cluster from scratch', [
  phase('preflight', 'Preflight', [
    checkImages,
    checkIgnitions,
    checkLadder,
    checkDisk,
    checkTang,
    checkK0sctl,
    checkArchive,
    checkManifests,
    checkBootstrap,
    checkApplications,
    reachRepository,
    checkSecrets,
    reachNas,
    findRoom,
    chooseBackups,
  ]),
  phase('evidence', 'Evidence', [surveyHost, mapTheVolumes, keepHostFiles, whichClusterItWas, whatWaits]),
  phase('protect', 'Protect', [snapshotVolume, fenceVolume]),
  phase('hosts', 'Hosts', [bringUpInstaller, installFlatcar, holdOsUpdates]),
  phase('kubernetes', 'Kubernetes', [
    checkHosts,
    restoreControlPlane,
    startControllers,
    fetchAccess,
    joinWorkers,
  ]),
  phase('bootstrap', 'Bootstrap', [
    unlockOnePassword,
    giveSecrets,
    applyPart,
    nodesReady,
    proveNetwork,
    proveOnePassword,
    serveRepository,
    holdApplication,
  ]),
  phase('volumes', 'Volumes', [
    copyOnHost,
    letThrough,
    measureVolume,
    adoptVolume,
    cloneVolume,
    copyVolume,
    adoptHostCopy,
    restoreVolume,
    verifyVolume,
    dropClone,
    dropRestore,
  ]),
  phase('applications', 'Applications', [releaseApplication, settleApplication, releaseSet, checkAnswer]),
  phase('proof', 'Proof', [disarm, tidyUp, resumeOsUpdates, stopServing, whatRemains]),
])
