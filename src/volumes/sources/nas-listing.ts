import type { Protocol } from '../protocol.ts'
import type { VolumeSource, VolumeTestimony } from './volume-source.ts'

/** What a NAS tells of itself, as far as the map goes by it. */
export interface NasListing {
  luns: readonly NasDisk[]
  /** Shares that are volumes, where the NAS has such. */
  shares?: readonly (NasDisk & { protocol: Protocol })[]
}

interface NasDisk {
  uuid: string
  name: string
  description: string
  sizeBytes: number
  usedBytes?: number
}

/** What the CSI driver puts before the name of a PersistentVolume, for its LUN or share. */
const prefix = 'k8s-csi-'

/**
 * What the NAS says of whose its LUNs and shares are. The CSI driver writes `namespace/claim` into a LUN's description when
 * it is told to; of clones and older LUNs only the name speaks, and says which PersistentVolume it was. Names of shares are
 * cut off at 32 characters, so that of those only the uuid tells anything.
 */
export function readNasListing(name: string, { luns, shares = [] }: NasListing): VolumeSource {
  const testimonies = [
    ...luns.flatMap(lun => testimonyOf(name, { protocol: 'iscsi', ...lun }, lun.name)),
    ...shares.flatMap(share => testimonyOf(name, share, share.name.length < 32 ? share.name : undefined)),
  ]
  return { name, testimonies, remarks: [] }
}

function testimonyOf(
  source: string,
  disk: NasDisk & { protocol: Protocol },
  whole: string | undefined,
): VolumeTestimony[] {
  const claim = /^[a-z0-9.-]+\/[a-z0-9.-]+$/.test(disk.description) ? disk.description : ''
  // Clones that a run of ours made for itself are nobody's volumes.
  if (disk.name.startsWith(`${prefix}recover-`)) return []
  if (claim === '' && !disk.name.startsWith(prefix)) return []
  const { sizeBytes, usedBytes } = disk
  return [
    {
      source,
      claim,
      lun: disk.uuid,
      protocol: disk.protocol,
      ...(whole?.startsWith(prefix) ? { volume: whole.slice(prefix.length) } : {}),
      ...(sizeBytes > 0 ? { sizeBytes } : {}),
      ...(usedBytes === undefined ? {} : { usedBytes }),
    },
  ]
}
