import type { Cluster } from '../../src/cluster/load.ts'
import type { Blueprint, KubernetesObject } from '../../src/lab/blueprint.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { readK0sArchive } from '../../src/volumes/sources/k0s-backup.ts'

/** The same world with the archive that recover.yaml restores from, which the lab's k0s then knows how to restore. */
export async function withArchive(blueprint: Blueprint, cluster: Cluster): Promise<Blueprint> {
  const { restore } = cluster
  if (!restore) return blueprint
  try {
    const { sha256, objects } = await readK0sArchive(restore.file)
    return {
      ...blueprint,
      nas: namedAs(
        objects.map(o => o.object as KubernetesObject),
        blueprint.nas,
      ),
      backup: {
        sha256,
        objects: objects.map(o => o.object as KubernetesObject),
        workloads: workloadsOf(cluster),
      },
    }
  } catch (thrown) {
    // Preflight says what is wrong with it; the lab's k0s refuses it, too.
    if (thrown instanceof Fault) return blueprint
    throw thrown
  }
}

/** Disks are named after their PersistentVolumes, which the archive knows; a share is mounted by that name. */
function namedAs(objects: readonly KubernetesObject[], nas: Blueprint['nas']): Blueprint['nas'] {
  const leading = new Map(
    objects
      .filter(o => o.kind === 'PersistentVolume')
      .map(o => [(o.spec as { csi?: { volumeHandle?: string } }).csi?.volumeHandle, o.metadata.name]),
  )
  const named = <T extends { uuid: string; pv: string }>(disk: T): T => ({
    ...disk,
    pv: leading.get(disk.uuid) ?? disk.pv,
  })
  return { ...nas, luns: nas.luns.map(named), ...(nas.shares ? { shares: nas.shares.map(named) } : {}) }
}

/** What the cluster ran that was backed up: what Git has, its bootstrap first. */
function workloadsOf({ bootstrap, applications }: Cluster): KubernetesObject[] {
  const found = [
    ...bootstrap.flatMap(part => part.from.objects),
    ...applications.flatMap(application => application.objects),
  ].map(({ value, namespace }) => {
    const { metadata, ...rest } = value as unknown as KubernetesObject
    return { ...rest, metadata: { ...metadata, ...(namespace === undefined ? {} : { namespace }) } }
  })
  return [...found, ...applications.map(a => a.manifest as unknown as KubernetesObject)] as KubernetesObject[]
}
