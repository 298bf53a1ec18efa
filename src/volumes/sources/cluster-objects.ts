import { parseSize } from '../../cluster/size.ts'
import type { KubernetesObject } from '../../kubernetes/kubernetes.ts'
import { protocolOf } from '../protocol.ts'
import type { VolumeTestimony } from './volume-source.ts'

/** An object of a cluster, dead or alive. */
export interface ClusterObject {
  object: KubernetesObject
  deleted: boolean
}

interface VolumeSpec {
  capacity?: { storage?: string }
  csi?: {
    driver?: string
    volumeHandle?: string
    fsType?: string
    volumeAttributes?: Record<string, string>
  }
  iscsi?: { iqn?: string }
  claimRef?: { namespace?: string; name?: string }
  storageClassName?: string
}

/** What a PersistentVolume says by itself; undefined for one that is on no LUN and no share. */
export function testimonyOfVolume(source: string, { metadata, ...rest }: KubernetesObject) {
  const spec = (rest.spec ?? {}) as VolumeSpec
  const { driver, volumeHandle, fsType, volumeAttributes } = spec.csi ?? {}
  const protocol = protocolOf(volumeAttributes)
  const lun = volumeHandle ?? spec.iscsi?.iqn
  if (lun === undefined) return undefined
  const { claimRef, capacity, storageClassName } = spec
  return {
    source,
    claim: claimRef?.name === undefined ? '' : `${claimRef.namespace ?? 'default'}/${claimRef.name}`,
    lun,
    volume: metadata.name ?? '',
    ...(driver === undefined ? {} : { driver }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(fsType === undefined || fsType === '' ? {} : { fsType }),
    ...(capacity?.storage === undefined
      ? {}
      : { sizeBytes: parseSize(capacity.storage, metadata.name ?? source) }),
    ...(storageClassName === undefined ? {} : { storageClass: storageClassName }),
  } satisfies VolumeTestimony
}

/** Which claim was which volume, by a cluster's PersistentVolumes and claims, and whose each claim was, by its pods. */
export function testimoniesOf(source: string, objects: readonly ClusterObject[]): VolumeTestimony[] {
  const kind = (name: string) => objects.filter(o => o.object.kind === name)
  const claims = new Map(kind('PersistentVolumeClaim').map(o => [idOf(o.object), o]))
  const owners = ownersByClaim(kind('Pod'), kind('ReplicaSet'))
  return kind('PersistentVolume').flatMap(({ object, deleted }): VolumeTestimony[] => {
    const said = testimonyOfVolume(source, object)
    if (said === undefined || said.claim === '') return []
    const claim = claims.get(said.claim)
    const volumeName = (claim?.object.spec as { volumeName?: string } | undefined)?.volumeName
    // A volume that was released keeps the name of a claim that has another one by now.
    const moved = claim !== undefined && !claim.deleted && volumeName !== said.volume
    const owner = (claim && ownerOf(claim.object)) ?? (deleted || moved ? undefined : owners.get(said.claim))
    return [
      {
        ...said,
        ...(owner === undefined ? {} : { owner }),
        ...(deleted || moved || (claim?.deleted ?? false) ? { deleted: true } : {}),
      },
    ]
  })
}

/** What mounts each claim: a pod's controller, and of a ReplicaSet the Deployment that it belongs to. */
function ownersByClaim(pods: ClusterObject[], sets: ClusterObject[]): Map<string, string> {
  const deployments = new Map(sets.map(({ object }) => [idOf(object), ownerOf(object)]))
  return new Map(
    pods
      // The living ones last: theirs is the word that stays.
      .sort((a, b) => Number(b.deleted) - Number(a.deleted))
      .flatMap(({ object }) => {
        const owner = ownerOf(object) ?? `Pod ${idOf(object)}`
        const [what = '', id = ''] = owner.split(' ')
        const controller = what === 'ReplicaSet' ? (deployments.get(id) ?? owner) : owner
        return mountedBy(object).map(claim => [claim, controller] as const)
      }),
  )
}

function mountedBy({ metadata, spec }: KubernetesObject): string[] {
  const { volumes = [] } = (spec ?? {}) as { volumes?: { persistentVolumeClaim?: { claimName?: string } }[] }
  return volumes.flatMap(({ persistentVolumeClaim: claim }) =>
    claim?.claimName === undefined ? [] : [`${metadata.namespace}/${claim.claimName}`],
  )
}

function ownerOf({ metadata }: KubernetesObject): string | undefined {
  const owners = (metadata.ownerReferences ?? []) as { kind: string; name: string; controller?: boolean }[]
  const owner = owners.find(o => o.controller) ?? owners[0]
  return owner && `${owner.kind} ${metadata.namespace}/${owner.name}`
}

function idOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace}/${metadata.name}`
}
