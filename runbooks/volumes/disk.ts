import type { MappedVolume } from '../../src/volumes/map.ts'
import type { CsiDisk } from '../../src/volumes/objects.ts'
import type { Readers } from '../kit.ts'

/** Driver, file system and attributes of a claim's class, as the CSI driver wants them in a static volume. */
export function diskOf(
  { inventory }: Readers['cluster'],
  volume: MappedVolume,
  lun: { uuid: string; sizeBytes: number },
): CsiDisk {
  const storageClass = inventory.storageClasses.find(c => c.name === volume.storageClass)
  const stated = inventory.volumes.find(v => v.claim === volume.claim)
  const parameters = storageClass?.parameters ?? {}
  return {
    driver: stated?.driver || storageClass?.provisioner || 'csi.san.synology.com',
    handle: lun.uuid,
    fsType: stated?.fsType ?? parameters['csi.storage.k8s.io/fstype'] ?? parameters.fsType ?? 'ext4',
    sizeBytes: lun.sizeBytes,
    attributes: stated?.attributes ?? {
      dsm: parameters.dsm ?? '',
      protocol: 'iscsi',
      source: '',
      baseDir: '',
      formatOptions: parameters.formatOptions ?? '',
      mountPermissions: parameters.mountPermissions ?? '',
    },
  }
}

/** The PersistentVolumes' access modes that a claim asks for. */
export function modesOf({ inventory }: Readers['cluster'], claim: string): string[] {
  const modes = inventory.claims.find(c => c.id === claim)?.accessModes ?? []
  return modes.length > 0 ? modes : ['ReadWriteOnce']
}
