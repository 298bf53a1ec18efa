import { z } from 'zod'
import { lunNamed, shareNamed } from '../../src/nas/lists.ts'
import { type Acting, done, due, type Observation } from '../../src/runbook/step.ts'
import { jobState, runJob } from '../../src/volumes/jobs.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import {
  type CsiDisk,
  measureJob,
  persistentVolume,
  persistentVolumeClaim,
} from '../../src/volumes/objects.ts'
import { parseMeasurement } from '../../src/volumes/programs.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { type Readers, step, type Writers } from '../kit.ts'
import { snapshotVolume } from '../protect/snapshot.ts'
import { copyOnHost } from './copy-on-host.ts'
import { diskOf, type NasDisk } from './disk.ts'
import { letThrough } from './let-through.ts'
import { baselineOf } from './shares.ts'
import { sourceOf } from './source.ts'

export const measurement = z.strictObject({
  files: z.number(),
  bytes: z.number(),
  sha256: z.string(),
  /** The file system that they were read from, as the kernel names it. */
  fsType: z.string().optional(),
})

/** A measurement, and the clone that it was taken from. */
export const measuredClone = measurement.extend({ clone: z.string() })

/** The hashes of everything on the old disk, before anybody writes: taken from a clone of its snapshot. */
export const measureVolume = step({
  id: 'volumes/measure',
  title: volume => `Measure what ${volume.claim} held`,
  byHand:
    'Clone the snapshot in SAN Manager, give the clone a PersistentVolume (mountOptions: [ro]) and a claim, mount it in a Job and run `find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`.',
  each: eachVolume,
  only: volume => diskHolding(volume) !== undefined,
  // A machine that copies from a clone of its own has let it go: two of one file system are no good on one machine.
  needs: [snapshotVolume, letThrough, copyOnHost],
  danger: 'changes',
  bounds: { expected: '1m', limit: '12h' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/drop-clone',
  uses: () => ['nas'],
  output: measuredClone,
  observe: look => lookAtMeasurement(look.volume, look),
  async apply(act) {
    const { volume, cluster, output } = act
    const snapshot = await baselineOf(volume, output(snapshotVolume).snapshot, act)
    await measureClone(volume, snapshot, lun => diskOf(cluster, volume, lun), act)
  },
})

/** What the Job that hashes a volume's clone has found, while that clone is there. */
export async function lookAtMeasurement(
  volume: MappedVolume,
  { kubernetes, nas, run }: Pick<Readers, 'kubernetes' | 'nas' | 'run'>,
): Promise<Observation<z.infer<typeof measuredClone>>> {
  const { namespace, jobs, clone } = sourceOf(volume, run)
  const job = await jobState(kubernetes, namespace, jobs.before)
  const lun = volume.share ? shareNamed(await nas.shares(), clone) : lunNamed(await nas.luns(), clone)
  const found = job.state === 'complete' ? parseMeasurement(job.message) : undefined
  if (found && lun)
    return done(
      { ...found, clone: lun.uuid },
      `${volume.claim} held ${found.files} files of ${found.bytes} bytes${volume.lun && found.fsType ? ` on ${found.fsType}` : ''}, sha256 ${found.sha256.slice(0, 12)}…`,
    )
  return due(
    ...(lun ? [] : [`clone the snapshot of ${diskHolding(volume)!.name} as ${clone}`]),
    `hash every file of it in the Job ${namespace}/${jobs.before}`,
  )
}

/** Clones a snapshot of a volume's disk, brings the clone into the cluster to be read, and hashes every file of it. */
export async function measureClone(
  volume: MappedVolume,
  snapshot: string,
  diskAt: (disk: NasDisk) => CsiDisk,
  { cluster, kubernetes, nas, run, wait }: Writers & Pick<Acting, 'wait'>,
): Promise<void> {
  const { namespace, clone, source, jobs, labels } = sourceOf(volume, run)
  const lun = volume.share
    ? await nas.cloneShare(
        { share: volume.share.uuid, snapshot },
        { name: clone, description: `recover run ${run.id}` },
      )
    : await nas.clone(
        { lun: volume.lun!.uuid, snapshot },
        { name: clone, description: `recover run ${run.id}, clone of ${volume.claim}` },
      )
  // Its file system is the old one's, whatever the class makes now: with none named, mount finds out which.
  const { fsType: _, ...disk } = diskAt(lun)
  const accessModes = ['ReadWriteOnce']
  await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  await kubernetes.apply(
    persistentVolume(source, { namespace, name: source }, disk, {
      storageClass: '',
      accessModes,
      readOnly: true,
      labels,
    }),
  )
  await kubernetes.apply(
    persistentVolumeClaim(
      { namespace, name: source },
      { sizeBytes: disk.sizeBytes, storageClass: '', accessModes, volumeName: source, labels },
    ),
  )
  await runJob(
    kubernetes,
    measureJob(jobs.before, { namespace, name: source }, labels, cluster.jobImage),
    (what, probe) => wait(what, probe, { every: '2s' }),
    `the files of ${volume.claim} to be hashed`,
  )
}
