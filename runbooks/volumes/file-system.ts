import { statedVolume } from '../../src/cluster/stated.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import type { Readers } from '../kit.ts'

/**
 * Git's own PersistentVolume of a claim must say the file system that its clone has shown: it is applied later with
 * everything else, and where a volume leads, and how, cannot be changed then. Throws Fault `file-system-differs`.
 */
export function mustBeStatedRightly(
  { inventory }: Readers['cluster'],
  volume: MappedVolume,
  seen: string | undefined,
): void {
  const stated = statedVolume(inventory, volume.claim)
  if (seen === undefined || stated?.fsType === undefined || stated.fsType === seen) return
  throw new Fault({
    code: 'file-system-differs',
    blame: 'operator',
    message: `the PersistentVolume ${stated.name} in Git (${stated.at}) says that ${volume.claim} has the file system ${stated.fsType}, and its disk has ${seen}: no node could mount it, so nothing was bound to it`,
    remedy: `Write \`fsType: ${seen}\` into its spec.csi in Git; then run \`recover resume --accept cluster-file\``,
  })
}
