import { z } from 'zod'
import { statedClaim } from '../../src/cluster/stated.ts'
import { done, due } from '../../src/runbook/step.ts'
import { jobState, runJob } from '../../src/volumes/jobs.ts'
import { persistentVolumeClaim, restoreJob, restoreSecret } from '../../src/volumes/objects.ts'
import { resticFields } from '../../src/volumes/restic.ts'
import { restoreFault } from '../../src/volumes/restore-faults.ts'
import { parseRestoreProgress, parseRestoreVerdict } from '../../src/volumes/restore-program.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { chooseBackups } from '../preflight/choose-backups.ts'
import { bindingOf } from './binding.ts'
import { hearingProgress } from './copy-progress.ts'
import { modesOf } from './disk.ts'
import { letThrough } from './let-through.ts'
import { restoreOf } from './source.ts'

/** A new disk with the files of a backup, where the old one is damaged, deleted or not wanted. The old one is not touched. */
export const restoreVolume = step({
  id: 'volumes/restore',
  title: volume => `Restore ${volume.claim} from its backup`,
  byHand:
    'Apply the claim (a new disk), mount it in a pod of restic’s image with the repository and its password in the environment, and `restic restore ID --target / --include /data --verify`.',
  each: eachVolume,
  only: volume => volume.strategy === 'restore',
  needs: [chooseBackups, letThrough],
  danger: 'changes',
  bounds: { expected: '10m', limit: '24h' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/drop-restore',
  uses: () => ['nas'],
  output: z.strictObject({
    pv: z.string(),
    handle: z.string(),
    snapshot: z.string(),
    restored: z.strictObject({ files: z.number(), links: z.number(), bytes: z.number() }),
  }),
  async observe({ volume, kubernetes, run, output }) {
    const { snapshot } = output(chooseBackups).chosen.find(c => c.claim === volume.claim)!
    const { namespace, job, secret } = restoreOf(volume, run)
    const binding = await bindingOf(kubernetes, volume.claim)
    const state = await jobState(kubernetes, namespace, job)
    const restored = state.state === 'complete' ? parseRestoreVerdict(state.message) : undefined
    const open = await kubernetes.get({ apiVersion: 'v1', kind: 'Secret', namespace, name: secret })
    if (binding.state === 'bound' && restored && !open)
      return done(
        { pv: binding.pv, handle: binding.handle, snapshot, restored },
        `${volume.claim} has all ${restored.files} files (${restored.links} links, ${restored.bytes} bytes) of snapshot ${snapshot.slice(0, 8)}, read back and compared with the repository`,
      )
    return due(
      ...(binding.state === 'bound' ? [] : [`make a new disk for ${volume.claim}`]),
      ...(restored ? [] : [`restore snapshot ${snapshot.slice(0, 8)} in the Job ${namespace}/${job}`]),
      ...(open ? [`delete the Secret ${namespace}/${secret}`] : []),
    )
  },
  async apply(act) {
    const { volume, cluster, kubernetes, run, secrets, output, progress, wait } = act
    const { snapshot, path } = output(chooseBackups).chosen.find(c => c.claim === volume.claim)!
    const { namespace, name, job, secret, labels } = restoreOf(volume, run)
    const place = cluster.entry.backups![volume.claim]!
    const claim = statedClaim(cluster.inventory, volume.claim)
    await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    await kubernetes.apply(
      persistentVolumeClaim(
        { namespace, name },
        {
          sizeBytes: volume.sizeBytes,
          storageClass: volume.storageClass,
          accessModes: modesOf(cluster, volume.claim),
          labels: claim?.labels ?? {},
          annotations: claim?.annotations ?? {},
        },
      ),
    )
    const ref = { apiVersion: 'v1', kind: 'Secret', namespace, name: secret }
    if ((await jobState(kubernetes, namespace, job)).state !== 'complete') {
      const fields = await Promise.all(
        resticFields(place).map(async field => [field, await secrets.field(place.restic, field)] as const),
      )
      await kubernetes.apply(restoreSecret({ namespace, name: secret }, Object.fromEntries(fields), labels))
      await runJob(
        kubernetes,
        restoreJob(
          job,
          { namespace, name },
          { snapshot, path, secret, run: run.id },
          labels,
          cluster.resticImage,
        ),
        (what, probe) => wait(what, probe, { every: '2s' }),
        `the backup of ${volume.claim} to be restored`,
        {
          hear: hearingProgress(progress, { read: parseRestoreProgress }),
          faultOf: (exitCode, message) => restoreFault(volume.claim, exitCode, message),
        },
      )
    }
    // What opens the backups has no business there any longer than it is used.
    const live = await kubernetes.get(ref)
    if (live) await kubernetes.remove(ref, live.metadata.uid ?? '')
  },
})
