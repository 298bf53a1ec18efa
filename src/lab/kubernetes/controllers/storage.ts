import { parseSize } from '../../../cluster/size.ts'
import { isShare, protocolOf } from '../../../volumes/protocol.ts'
import type { NasSeam } from '../../seams.ts'
import { inUse } from '../new-object.ts'
import type { ObjectStore } from '../store.ts'
import type { Stored } from '../stored.ts'
import { type Controlled, type Controller, dig, digList, refOf, runs } from './context.ts'

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
    if (claim.metadata.deletionTimestamp) continue
    const wanting = withDefaultClass(store, claim)
    if (waitsForPod(store, wanting)) {
      const message = 'waiting for first consumer to be created before binding'
      const conditions = [{ type: 'WaitForFirstConsumer', status: 'True', message }]
      if (dig(claim, 'status', 'phase') === undefined)
        store.setStatus(refOf(store, claim), { phase: 'Pending', conditions })
      continue
    }
    const volume = bestFor(store, wanting)
    if (volume) bind(controlled, volume, wanting)
    // The provisioner leaves alone a claim that names its volume: whoever named it will bring it.
    else if (dig(wanting, 'spec', 'volumeName') === undefined) provision(controlled, wanting)
    if (dig(store.find(refOf(store, claim)), 'status', 'phase') === undefined)
      store.setStatus(refOf(store, claim), { phase: 'Pending' })
  }
  for (const pv of store.all('PersistentVolume')) settle(controlled, pv)
}

/** Fault `disk-made-anew`: an operator that begins anew beside the data that is there, until it is told not to. */
export const beginnersAnew: Controller = ({ store, world, nas }) => {
  for (const { claim, sizeBytes } of world.blueprint.nas.luns) {
    const [namespace] = claim.split('/')
    const running = ['Deployment', 'StatefulSet'].some(kind => store.all(kind, namespace).length > 0)
    const name = `k8s-csi-pvc-anew-${claim.replace('/', '-')}`
    const made = nas.lun(name)
    if (world.suffers('disk-made-anew', claim)) {
      if (running && !made) nas.createVolume({ name, sizeBytes, description: claim })
    } else if (made) nas.deleteVolume(made.uuid)
  }
}

/** A class may make and bind disks only for pods that are there; a claim that names its volume need not wait. */
function waitsForPod(store: ObjectStore, claim: Stored): boolean {
  if (dig(claim, 'spec', 'volumeName') !== undefined) return false
  const storageClass = store
    .all('StorageClass')
    .find(c => c.metadata.name === dig(claim, 'spec', 'storageClassName'))
  if (storageClass?.volumeBindingMode !== 'WaitForFirstConsumer') return false
  return !store
    .all('Pod', String(claim.metadata.namespace))
    .flatMap(pod => digList(pod, 'spec', 'volumes'))
    .some(volume => dig(volume, 'persistentVolumeClaim', 'claimName') === claim.metadata.name)
}

/** A claim without a word about its class gets the default one, also later; `\"\"` is a word. */
function withDefaultClass(store: ObjectStore, claim: Stored): Stored {
  if (dig(claim, 'spec', 'storageClassName') !== undefined) return claim
  const standard = store
    .all('StorageClass')
    .find(c => c.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true')
  if (!standard) return claim
  return store.merge(
    refOf(store, claim),
    { spec: { storageClassName: standard.metadata.name } },
    'kube-controller-manager',
  )
}

/** The volume that is promised to the claim, or else the smallest that is free and fits. */
function bestFor(store: ObjectStore, claim: Stored): Stored | undefined {
  const candidates = store.all('PersistentVolume').filter(pv => fits(pv, claim))
  const promised = candidates.find(pv => dig(pv, 'spec', 'claimRef') !== undefined)
  return promised ?? candidates.sort((a, b) => capacityOf(a) - capacityOf(b))[0]
}

function fits(pv: Stored, claim: Stored): boolean {
  const wanted = dig<string>(claim, 'spec', 'volumeName')
  const owner = dig<{ namespace?: string; name?: string; uid?: string }>(pv, 'spec', 'claimRef')
  const phase = dig(pv, 'status', 'phase')
  if (phase === 'Bound' || phase === 'Released' || phase === 'Failed') return false
  if (pv.metadata.deletionTimestamp) return false
  if (wanted !== undefined && wanted !== pv.metadata.name) return false
  if (owner) {
    if (owner.namespace !== claim.metadata.namespace || owner.name !== claim.metadata.name) return false
    if (owner.uid !== undefined && owner.uid !== '' && owner.uid !== claim.metadata.uid) return false
  } else if (wanted === undefined && (dig(pv, 'spec', 'storageClassName') ?? '') === '') return false
  const modes = dig<string[]>(pv, 'spec', 'accessModes') ?? []
  const labels = dig<Record<string, string>>(claim, 'spec', 'selector', 'matchLabels') ?? {}
  return (
    (dig(pv, 'spec', 'storageClassName') ?? '') === (dig(claim, 'spec', 'storageClassName') ?? '') &&
    (dig(pv, 'spec', 'volumeMode') ?? 'Filesystem') === (dig(claim, 'spec', 'volumeMode') ?? 'Filesystem') &&
    (dig<string[]>(claim, 'spec', 'accessModes') ?? []).every(m => modes.includes(m)) &&
    Object.entries(labels).every(([key, value]) => pv.metadata.labels?.[key] === value) &&
    parseSize(String(dig(claim, 'spec', 'resources', 'requests', 'storage') ?? '0'), '') <= capacityOf(pv)
  )
}

function capacityOf(pv: Stored): number {
  return parseSize(String(dig(pv, 'spec', 'capacity', 'storage') ?? '0'), '')
}

function bind({ store }: Controlled, pv: Stored, claim: Stored): void {
  const { namespace, name, uid } = claim.metadata
  store.merge(
    refOf(store, pv),
    {
      spec: {
        claimRef: {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          namespace,
          name,
          uid,
          resourceVersion: claim.metadata.resourceVersion,
        },
      },
    },
    'kube-controller-manager',
  )
  store.setStatus(refOf(store, pv), { phase: 'Bound' })
  const annotations = { 'pv.kubernetes.io/bind-completed': 'yes' }
  const spec = { volumeName: pv.metadata.name }
  store.merge(refOf(store, claim), { metadata: { annotations }, spec }, 'kube-controller-manager')
  store.setStatus(refOf(store, claim), {
    phase: 'Bound',
    accessModes: dig(pv, 'spec', 'accessModes'),
    capacity: dig(pv, 'spec', 'capacity'),
  })
}

/** What is in use outlives its deletion until it is not: a claim its pods, a volume its claim. */
export const protection: Controller = ({ store }) => {
  const release = (object: Stored, finalizer: string) =>
    store.merge(
      refOf(store, object),
      { metadata: { finalizers: object.metadata.finalizers?.filter(f => f !== finalizer) ?? [] } },
      'kube-controller-manager',
    )
  const leaving = (kind: string, finalizer: string) =>
    store
      .all(kind)
      .filter(o => o.metadata.deletionTimestamp && o.metadata.finalizers?.includes(finalizer) === true)
  for (const claim of leaving('PersistentVolumeClaim', inUse.PersistentVolumeClaim)) {
    const used = store
      .all('Pod', String(claim.metadata.namespace))
      .filter(pod => !['Succeeded', 'Failed'].includes(String(dig(pod, 'status', 'phase'))))
      .flatMap(pod => digList(pod, 'spec', 'volumes'))
      .some(volume => dig(volume, 'persistentVolumeClaim', 'claimName') === claim.metadata.name)
    if (!used) release(claim, inUse.PersistentVolumeClaim)
  }
  for (const pv of leaving('PersistentVolume', inUse.PersistentVolume))
    if (dig(pv, 'status', 'phase') !== 'Bound') release(pv, inUse.PersistentVolume)
}

function provision(controlled: Controlled, claim: Stored): void {
  const { store, nas } = controlled
  const className = dig<string>(claim, 'spec', 'storageClassName')
  const storageClass = store.all('StorageClass').find(c => c.metadata.name === className)
  if (storageClass?.provisioner !== driver || !runs(store, /synology-csi-controller/)) return
  const name = `pvc-${claim.metadata.uid}`
  const size = String(dig(claim, 'spec', 'resources', 'requests', 'storage'))
  const parameters = dig<Record<string, string>>(storageClass, 'parameters') ?? {}
  let csi: object
  try {
    csi = isShare(protocolOf(parameters))
      ? shareFor(nas, name, parseSize(size, ''), parameters)
      : lunFor(nas, name, parseSize(size, ''), claim, parameters)
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
          csi,
        },
      },
      'csi-provisioner',
    )
}

function lunFor(
  nas: NasSeam,
  pv: string,
  sizeBytes: number,
  { metadata: { namespace, name } }: Stored,
  { dsm = '', fsType = 'ext4' }: Record<string, string>,
): object {
  const { uuid } = nas.createVolume({
    name: `k8s-csi-${pv}`,
    sizeBytes,
    description: `${namespace}/${name}`,
  })
  return {
    driver,
    volumeHandle: uuid,
    fsType,
    volumeAttributes: { dsm, protocol: 'iscsi', source: '' },
  }
}

function shareFor(nas: NasSeam, pv: string, sizeBytes: number, parameters: Record<string, string>): object {
  const { dsm = '', mountPermissions = '' } = parameters
  const protocol = protocolOf(parameters)
  const { uuid, name, location } = nas.createShare({ name: `k8s-csi-${pv}`, sizeBytes })
  const secret = {
    name: parameters['csi.storage.k8s.io/node-stage-secret-name'],
    namespace: parameters['csi.storage.k8s.io/node-stage-secret-namespace'],
  }
  return {
    driver,
    volumeHandle: uuid,
    ...(secret.name === undefined ? {} : { nodeStageSecretRef: secret }),
    volumeAttributes: {
      dsm,
      protocol,
      source: `//${dsm}/${name}`,
      baseDir: protocol === 'nfs' ? `${location}/${name}` : '',
      formatOptions: '',
      mountPermissions,
    },
  }
}

/** Gives a volume its phase, and has the driver delete the disk of one that is Released and not to be kept. */
function settle({ store, nas }: Controlled, pv: Stored): void {
  const status = statusOf(store, pv)
  if (dig(pv, 'status', 'phase') !== status.phase) store.setStatus(refOf(store, pv), status)
  const deletes = dig(pv, 'spec', 'persistentVolumeReclaimPolicy') === 'Delete'
  if (status.phase !== 'Released' || !deletes || !runs(store, /synology-csi-controller/)) return
  nas.deleteVolume(String(dig(pv, 'spec', 'csi', 'volumeHandle')))
  store.remove(refOf(store, pv))
}

/**
 * One whose claim is another incarnation than it was bound to is Released, be it ever so new itself. It is free again
 * when somebody takes the uid out of its claimRef.
 */
function statusOf(store: ObjectStore, pv: Stored): { phase: string; message?: string } {
  const owner = dig<{ namespace: string; name: string; uid?: string }>(pv, 'spec', 'claimRef')
  if (!owner?.uid) return { phase: 'Available' }
  const claim = store.find({
    resource: store.kind('PersistentVolumeClaim'),
    namespace: owner.namespace,
    name: owner.name,
  })
  // A claim that is there and not bound yet: the volume waits for it.
  if (claim?.metadata.uid === owner.uid)
    return { phase: dig(claim, 'spec', 'volumeName') === pv.metadata.name ? 'Bound' : 'Available' }
  const foreign = pv.metadata.annotations?.['pv.kubernetes.io/provisioned-by'] !== driver
  return dig(pv, 'spec', 'persistentVolumeReclaimPolicy') === 'Delete' && foreign
    ? {
        phase: 'Failed',
        message: 'error getting deleter volume plugin: no deletable volume plugin matched',
      }
    : { phase: 'Released' }
}
