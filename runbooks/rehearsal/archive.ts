import type { Cluster } from '../../src/cluster/load.ts'
import type { Blueprint, KubernetesObject } from '../../src/lab/blueprint.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { readK0sArchive } from '../../src/volumes/sources/k0s-backup.ts'

/** The same world with the archive that recover.yaml restores from, which the lab's k0s then knows how to restore. */
export async function withArchive(blueprint: Blueprint, { restore }: Cluster): Promise<Blueprint> {
  if (!restore) return blueprint
  try {
    const { sha256, objects } = await readK0sArchive(restore.file)
    return { ...blueprint, backup: { sha256, objects: objects.map(o => o.object as KubernetesObject) } }
  } catch (thrown) {
    // Preflight says what is wrong with it; the lab's k0s refuses it, too.
    if (thrown instanceof Fault) return blueprint
    throw thrown
  }
}
