import { statedClaim, statedClass, statedVolume } from '../../src/cluster/stated.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import type { CsiDisk } from '../../src/volumes/objects.ts'
import { isShare, protocolOf } from '../../src/volumes/protocol.ts'
import { shareAttributes } from '../../src/volumes/static-volume.ts'
import type { Readers } from '../kit.ts'

/** A LUN or share on the NAS, as far as a PersistentVolume is made of it. */
export interface NasDisk {
  uuid: string
  name: string
  sizeBytes: number
  /** Where on the NAS: `/volume1`. */
  location?: string
}

/** The LUN or share by which a volume comes back, as the CSI driver wants it in a static volume. */
export function diskOf(
  cluster: Readers['cluster'],
  volume: MappedVolume,
  disk: NasDisk,
  seen?: string,
): CsiDisk {
  return volume.share ? shareDisk(cluster, volume, disk) : lunDisk(cluster, volume, disk, seen)
}

/**
 * Driver, file system and attributes of a claim's class, as the CSI driver wants them in a static volume.
 * @param seen the file system that was found on it, which is right whatever anybody says
 */
export function lunDisk(
  { inventory }: Readers['cluster'],
  volume: MappedVolume,
  lun: { uuid: string; sizeBytes: number },
  seen?: string,
): CsiDisk & { fsType: string } {
  const { driver, stated, parameters } = saidOf(inventory, volume)
  // A machine that copies makes a new one, with the options of today's class.
  const onDisk = volume.strategy === 'host-copy' ? undefined : volume.fsType
  return {
    driver,
    handle: lun.uuid,
    fsType: seen ?? stated?.fsType ?? onDisk ?? fsTypeBy(inventory, parameters),
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

/**
 * A share, or a clone of one. The driver goes by what the attributes name, whichever share the handle means; the host among
 * them must be the one that it is configured with, which Git says in the volume or in the class.
 */
function shareDisk(
  { inventory, entry }: Readers['cluster'],
  volume: MappedVolume,
  { uuid, name, sizeBytes, location = '' }: NasDisk,
): CsiDisk {
  const { driver, stated, parameters, mountOptions } = saidOf(inventory, volume)
  const nas = 'synology' in entry.nas ? new URL(entry.nas.synology).hostname : ''
  return {
    driver,
    handle: uuid,
    sizeBytes: sizeBytes || volume.sizeBytes,
    attributes: shareAttributes(
      { name, location },
      {
        dsm: stated?.attributes.dsm || parameters.dsm || nas,
        mountPermissions: stated?.attributes.mountPermissions ?? parameters.mountPermissions ?? '',
      },
    ),
    mountOptions: stated?.mountOptions ?? mountOptions,
  }
}

/**
 * The file system that a LUN probably has of which nobody says it: as its class makes them or, where that makes shares now,
 * as all other classes do that make LUNs. A wrong one destroys nothing: kubelet makes none where it finds any, and does not
 * mount. Before a disk comes back, its clone has shown which it is.
 */
function fsTypeBy(
  { storageClasses }: Readers['cluster']['inventory'],
  own: Readonly<Record<string, string>>,
): string {
  const said = (parameters: Readonly<Record<string, string>>) =>
    parameters['csi.storage.k8s.io/fstype'] ?? parameters.fsType
  if (!isShare(protocolOf(own))) return said(own) ?? 'ext4'
  const others = storageClasses.filter(
    c => c.provisioner === synologyDriver && !isShare(protocolOf(c.parameters)),
  )
  const made = new Set(others.map(c => said(c.parameters) ?? 'ext4'))
  return made.size === 1 ? [...made].join() : 'ext4'
}

const synologyDriver = 'csi.san.synology.com'

/** What Git says of how a volume is mounted: in its PersistentVolume, and in its class. */
function saidOf(inventory: Readers['cluster']['inventory'], volume: MappedVolume) {
  const storageClass = statedClass(inventory, volume.storageClass)
  const stated = statedVolume(inventory, volume.claim)
  return {
    stated,
    driver: stated?.driver || storageClass?.provisioner || synologyDriver,
    parameters: storageClass?.parameters ?? {},
    mountOptions: storageClass?.mountOptions ?? [],
  }
}

/** The PersistentVolumes' access modes that a claim asks for. */
export function modesOf({ inventory }: Readers['cluster'], claim: string): string[] {
  const modes = statedClaim(inventory, claim)?.accessModes ?? []
  return modes.length > 0 ? modes : ['ReadWriteOnce']
}
