import { parseSize } from '../../../cluster/size.ts'
import type { Stored } from '../store.ts'
import { type Controlled, type Controller, dig, refOf, runs } from './context.ts'

const driver = 'csi.san.synology.com'

/** Binds claims to volumes, and lets the CSI driver make new ones, by the rules that decide whose data a claim gets. */
export const binder: Controller = controlled => {
  const { store } = controlled
  for (const claim of store.all('PersistentVolumeClaim')) {
    if (dig(claim, 'status', 'phase') === 'Bound') {
      const pv = store.find({
        resource: store.kind('PersistentVolume'),
        name: String(dig(claim, 'spec', 'volumeName')),
      })
      if (!pv) store.setStatus(refOf(store, claim), { phase: 'Lost' })
      continue
    }
    const volume = store.all('PersistentVolume').find(pv => fits(pv, claim))
    if (volume) bind(controlled, volume, claim)
    // The provisioner leaves alone a claim that names its volume: whoever named it will bring it.
    else if (dig(claim, 'spec', 'volumeName') === undefined) provision(controlled, claim)
    if (dig(store.find(refOf(store, claim)), 'status', 'phase') === undefined)
      store.setStatus(refOf(store, claim), { phase: 'Pending' })
  }
  for (const pv of store.all('PersistentVolume')) release(controlled, pv)
}

function fits(pv: Stored, claim: Stored): boolean {
  const wanted = dig<string>(claim, 'spec', 'volumeName')
  const owner = dig<{ namespace?: string; name?: string; uid?: string }>(pv, 'spec', 'claimRef')
  const phase = dig(pv, 'status', 'phase')
  if (phase === 'Bound' || phase === 'Released') return false
  if (wanted !== undefined && wanted !== pv.metadata.name) return false
  if (owner) {
    if (owner.namespace !== claim.metadata.namespace || owner.name !== claim.metadata.name) return false
    if (owner.uid !== undefined && owner.uid !== '' && owner.uid !== claim.metadata.uid) return false
  } else if (wanted === undefined && (dig(pv, 'spec', 'storageClassName') ?? '') === '') return false
  const modes = dig<string[]>(pv, 'spec', 'accessModes') ?? []
  const size = (object: Stored, ...path: string[]) => parseSize(String(dig(object, ...path) ?? '0'), '')
  return (
    (dig(pv, 'spec', 'storageClassName') ?? '') === (dig(claim, 'spec', 'storageClassName') ?? '') &&
    (dig<string[]>(claim, 'spec', 'accessModes') ?? []).every(m => modes.includes(m)) &&
    size(claim, 'spec', 'resources', 'requests', 'storage') <= size(pv, 'spec', 'capacity', 'storage')
  )
}

function bind({ store }: Controlled, pv: Stored, claim: Stored): void {
  const { namespace, name, uid } = claim.metadata
  store.merge(
    refOf(store, pv),
    { spec: { claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid } } },
    'kube-controller-manager',
  )
  store.setStatus(refOf(store, pv), { phase: 'Bound' })
  if (dig(claim, 'spec', 'volumeName') === undefined)
    store.merge(refOf(store, claim), { spec: { volumeName: pv.metadata.name } }, 'kube-controller-manager')
  store.setStatus(refOf(store, claim), {
    phase: 'Bound',
    accessModes: dig(pv, 'spec', 'accessModes'),
    capacity: dig(pv, 'spec', 'capacity'),
  })
}

function provision(controlled: Controlled, claim: Stored): void {
  const { store, nas } = controlled
  const className = dig<string>(claim, 'spec', 'storageClassName')
  const storageClass = store.all('StorageClass').find(c => c.metadata.name === className)
  if (storageClass?.provisioner !== driver || !runs(store, /synology-csi-controller/)) return
  const name = `pvc-${claim.metadata.uid}`
  const size = String(dig(claim, 'spec', 'resources', 'requests', 'storage'))
  let uuid: string
  try {
    uuid = nas.createVolume({
      name: `k8s-csi-${name}`,
      sizeBytes: parseSize(size, ''),
      description: `${claim.metadata.namespace}/${claim.metadata.name}`,
    }).uuid
  } catch (error) {
    store.setStatus(refOf(store, claim), {
      phase: 'Pending',
      conditions: [{ type: 'ProvisioningFailed', status: 'True', message: String(error) }],
    })
    return
  }
  const resource = store.kind('PersistentVolume')
  if (!store.find({ resource, name }))
    store.create(
      resource,
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name, annotations: { 'pv.kubernetes.io/provisioned-by': driver } },
        spec: {
          capacity: { storage: size },
          accessModes: dig(claim, 'spec', 'accessModes'),
          persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
          storageClassName: className,
          claimRef: {
            apiVersion: 'v1',
            kind: 'PersistentVolumeClaim',
            namespace: claim.metadata.namespace,
            name: claim.metadata.name,
            uid: claim.metadata.uid,
          },
          csi: {
            driver,
            volumeHandle: uuid,
            fsType: dig(storageClass, 'parameters', 'fsType') ?? 'ext4',
            volumeAttributes: {
              dsm: dig(storageClass, 'parameters', 'dsm') ?? '',
              protocol: 'iscsi',
              source: '',
            },
          },
        },
      },
      'csi-provisioner',
    )
}

function release({ store, nas }: Controlled, pv: Stored): void {
  const phase = dig(pv, 'status', 'phase')
  if (phase === undefined) store.setStatus(refOf(store, pv), { phase: 'Available' })
  if (phase !== 'Bound') return
  const owner = dig<{ namespace: string; name: string; uid: string }>(pv, 'spec', 'claimRef')
  const claim =
    owner &&
    store.find({
      resource: store.kind('PersistentVolumeClaim'),
      namespace: owner.namespace,
      name: owner.name,
    })
  if (claim && claim.metadata.uid === owner?.uid) return
  if (dig(pv, 'spec', 'persistentVolumeReclaimPolicy') === 'Delete') {
    nas.deleteVolume(String(dig(pv, 'spec', 'csi', 'volumeHandle')))
    store.remove(refOf(store, pv))
  } else store.setStatus(refOf(store, pv), { phase: 'Released' })
}
