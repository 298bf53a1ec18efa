import { z } from 'zod'
import { cloneName } from '../../src/nas/nas.ts'
import { done, due } from '../../src/runbook/step.ts'
import { jobState, runJob } from '../../src/volumes/jobs.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import {
  measureJob,
  persistentVolume,
  persistentVolumeClaim,
  runLabel,
  shortId,
  volumeLabel,
} from '../../src/volumes/objects.ts'
import { parseMeasurement } from '../../src/volumes/programs.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { type Readers, step } from '../kit.ts'
import { snapshotVolume } from '../protect/snapshot.ts'
import { letThrough } from './let-through.ts'

export const measurement = z.strictObject({ files: z.number(), bytes: z.number(), sha256: z.string() })

/** What stands for the old disk while its data is proven: a clone of its snapshot, so that the disk itself is not touched. */
export function sourceOf(volume: MappedVolume, run: { id: string }) {
  const id = shortId(volume.claim)
  const [namespace = '', name = ''] = volume.claim.split('/')
  return {
    id,
    namespace,
    name,
    clone: cloneName(run.id, id),
    /** The name of the clone's own PersistentVolume and claim. */
    source: `recover-src-${id}`,
    jobs: {
      before: `recover-before-${id}-${run.id.slice(-4)}`,
      copy: `recover-copy-${id}-${run.id.slice(-4)}`,
      after: `recover-after-${id}-${run.id.slice(-4)}`,
    },
    labels: { [runLabel]: run.id, [volumeLabel]: id },
  }
}

/** Driver, file system and attributes of a claim's class, as the CSI driver wants them in a static volume. */
export function diskOf(
  cluster: Readers['cluster'],
  volume: MappedVolume,
  lun: { uuid: string; sizeBytes: number },
) {
  const storageClass = cluster.inventory.storageClasses.find(c => c.name === volume.storageClass)
  const stated = cluster.inventory.volumes.find(v => v.claim === volume.claim)
  return {
    driver: stated?.driver || storageClass?.provisioner || 'csi.san.synology.com',
    handle: lun.uuid,
    fsType: stated?.fsType ?? storageClass?.parameters.fsType ?? 'ext4',
    sizeBytes: lun.sizeBytes,
    attributes: stated?.attributes ?? {
      dsm: storageClass?.parameters.dsm ?? '',
      protocol: 'iscsi',
      source: '',
      baseDir: '',
      formatOptions: storageClass?.parameters.formatOptions ?? '',
      mountPermissions: '',
    },
  }
}

/** The hashes of everything on the old disk, before anybody writes: taken from a clone of its snapshot. */
export const measureVolume = step({
  id: 'volumes/measure',
  title: volume => `Measure what ${volume.claim} held`,
  byHand:
    'Clone the snapshot in SAN Manager, give the clone a PersistentVolume (mountOptions: [ro]) and a claim, mount it in a Job and run `find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`.',
  each: eachVolume,
  only: volume => volume.lun !== undefined,
  needs: [snapshotVolume, letThrough],
  danger: 'changes',
  bounds: { expected: '1m', limit: '12h' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/drop-clone',
  uses: () => ['nas'],
  output: measurement.extend({ clone: z.string() }),
  async observe({ volume, kubernetes, nas, run }) {
    const { namespace, jobs, clone } = sourceOf(volume, run)
    const job = await jobState(kubernetes, namespace, jobs.before)
    const lun = (await nas.luns()).find(l => l.name === clone)
    const found = job.state === 'complete' ? parseMeasurement(job.message) : undefined
    if (found && lun)
      return done(
        { ...found, clone: lun.uuid },
        `${volume.claim} held ${found.files} files of ${found.bytes} bytes, sha256 ${found.sha256.slice(0, 12)}…`,
      )
    return due(
      ...(lun ? [] : [`clone the snapshot of ${volume.lun!.name} as ${clone}`]),
      `hash every file of it in the Job ${namespace}/${jobs.before}`,
    )
  },
  async apply({ volume, cluster, kubernetes, nas, run, output, wait }) {
    const { namespace, clone, source, jobs, labels } = sourceOf(volume, run)
    const { snapshot } = output(snapshotVolume)
    const lun = await nas.clone(
      { lun: volume.lun!.uuid, snapshot },
      { name: clone, description: `recover run ${run.id}, clone of ${volume.claim}` },
    )
    const accessModes = ['ReadWriteOnce']
    await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    await kubernetes.apply(
      persistentVolume(source, { namespace, name: source }, diskOf(cluster, volume, lun), {
        storageClass: '',
        accessModes,
        readOnly: true,
        labels,
      }),
    )
    await kubernetes.apply(
      persistentVolumeClaim(
        { namespace, name: source },
        { sizeBytes: lun.sizeBytes, storageClass: '', accessModes, volumeName: source, labels },
      ),
    )
    await runJob(
      kubernetes,
      measureJob(jobs.before, { namespace, name: source }, labels, cluster.jobImage),
      (what, probe) => wait(what, probe, { every: '2s' }),
      `the files of ${volume.claim} to be hashed`,
    )
  },
})
