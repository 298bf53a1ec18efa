import { cloneName, shareCloneName } from '../../src/nas/nas.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { runLabel, shortId, volumeLabel } from '../../src/volumes/objects.ts'

/** What stands for the old disk while its data is proven: a clone of its snapshot, so that the disk itself is not touched. */
export function sourceOf(volume: MappedVolume, run: { id: string }) {
  const id = shortId(volume.claim)
  const [namespace = '', name = ''] = volume.claim.split('/')
  return {
    id,
    namespace,
    name,
    /** A share's name may have 32 characters at most. */
    clone: volume.share ? shareCloneName(run.id, id) : cloneName(run.id, id),
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

/** The disks of a copy that a machine makes, and its unit there; the same in every process of a run. */
export function hostCopyOf(volume: MappedVolume, run: { id: string }) {
  const id = shortId(volume.claim)
  return {
    id,
    /** Name of the new disk, which the CSI driver looks at for its beginning. */
    disk: `k8s-csi-copy-${id}-${run.id}`,
    clone: cloneName(run.id, `${id}-host`),
    unit: `recover-copy-${id}`,
  }
}

/** The Job that restores a backup into a claim, and what opens the repository for it. */
export function restoreOf(volume: MappedVolume, run: { id: string }) {
  const id = shortId(volume.claim)
  const [namespace = '', name = ''] = volume.claim.split('/')
  const job = `recover-restore-${id}-${run.id.slice(-4)}`
  return { namespace, name, job, secret: job, labels: { [runLabel]: run.id, [volumeLabel]: id } }
}

/**
 * Name of the clone that becomes a claim's disk for good. Begins otherwise than clones that a run drops again, and as the
 * CSI driver's LUNs do, which looks at no others.
 */
export function keptCloneName(volume: MappedVolume, run: { id: string }): string {
  return `k8s-csi-clone-${shortId(volume.claim)}-${run.id}`
}

/** The same of a share, whose name may have 32 characters at most. */
export function keptShareName(volume: MappedVolume, run: { id: string }): string {
  return `k8s-csi-clone-${shortId(volume.claim)}-${run.id.slice(-4)}`
}
