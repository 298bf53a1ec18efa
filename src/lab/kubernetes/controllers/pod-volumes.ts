import type { ObjectStore } from '../store.ts'
import type { Stored } from '../stored.ts'
import { type Controlled, dig, digList, refOf } from './context.ts'

/** A volume of a pod, with the disk behind it. */
export interface PodVolume {
  claim: string
  pv: string | undefined
  handle: string | undefined
  /** As its PersistentVolume says. */
  fsType: string | undefined
  attributes: Record<string, string>
  secret: { name: string; namespace: string } | undefined
  readOnly: boolean
  /** Where containers have it, and whether they may write there. */
  mounts: { path: string; readOnly: boolean }[]
}

/** The claims that a pod mounts, with the disks behind them. */
export function volumesOf(store: ObjectStore, pod: Stored): PodVolume[] {
  const namespace = String(pod.metadata.namespace)
  return digList(pod, 'spec', 'volumes').flatMap((volume): PodVolume[] => {
    const name = dig<string>(volume, 'persistentVolumeClaim', 'claimName')
    if (name === undefined) return []
    const claim = store.find({ resource: store.kind('PersistentVolumeClaim'), namespace, name })
    const bound = dig(claim, 'status', 'phase') === 'Bound'
    const pv = bound ? dig<string>(claim, 'spec', 'volumeName') : undefined
    const volumeObject =
      pv === undefined ? undefined : store.find({ resource: store.kind('PersistentVolume'), name: pv })
    return [
      {
        claim: name,
        pv,
        handle: dig(volumeObject, 'spec', 'csi', 'volumeHandle'),
        fsType: dig<string>(volumeObject, 'spec', 'csi', 'fsType') || undefined,
        attributes: dig(volumeObject, 'spec', 'csi', 'volumeAttributes') ?? {},
        secret: dig(volumeObject, 'spec', 'csi', 'nodeStageSecretRef'),
        readOnly: (dig<string[]>(volumeObject, 'spec', 'mountOptions') ?? []).includes('ro'),
        mounts: digList(pod, 'spec', 'containers').flatMap(c =>
          digList(c, 'volumeMounts')
            .filter(m => m.name === volume.name)
            .map(m => ({ path: String(m.mountPath), readOnly: m.readOnly === true })),
        ),
      },
    ]
  })
}

/** What the attach-detach controller and the CSI attacher note of a volume that a node has mounted. */
export function attach(store: ObjectStore, pv: string, nodeName: string): void {
  // The real name is a hash of handle, driver and node.
  const name = `csi-${pv}-${nodeName}`
  const resource = store.kind('VolumeAttachment')
  if (store.find({ resource, name })) return
  const attachment = store.create(
    resource,
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'VolumeAttachment',
      metadata: { name },
      spec: { attacher: 'csi.san.synology.com', nodeName, source: { persistentVolumeName: pv } },
    },
    'kube-controller-manager',
  )
  store.setStatus(refOf(store, attachment), { attached: true })
}

/** Logs each node out of every disk that no pod of its own uses any more, and detaches it. */
export function detach({ store, nodes, machines }: Controlled): void {
  const used = new Set<string>()
  const there = new Set(store.all('Pod').map(pod => pod.metadata.uid))
  for (const pod of store.all('Pod')) {
    const phase = dig(pod, 'status', 'phase')
    if (phase === 'Succeeded' || phase === 'Failed') continue
    const node = dig(pod, 'spec', 'nodeName') ?? dig(pod, 'status', 'nodeName')
    for (const { handle } of volumesOf(store, pod)) used.add(`${handle} ${node}`)
  }
  const volumes = store
    .all('PersistentVolume')
    .map(pv => dig<string>(pv, 'spec', 'csi', 'volumeHandle'))
    .filter(handle => handle !== undefined)
  nodes.letGo(used, there, volumes, machines.nodes())
  for (const attachment of store.all('VolumeAttachment')) {
    const name = String(dig(attachment, 'spec', 'source', 'persistentVolumeName'))
    const pv = store.find({ resource: store.kind('PersistentVolume'), name })
    const handle = dig<string>(pv, 'spec', 'csi', 'volumeHandle')
    if (!used.has(`${handle} ${dig(attachment, 'spec', 'nodeName')}`)) store.remove(refOf(store, attachment))
  }
}
