import { statedClaim, statedVolumeTo } from '../../src/cluster/stated.ts'
import { type KubernetesObject, type KubernetesWriter, refOf } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Acting } from '../../src/runbook/step.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { persistentVolume, persistentVolumeClaim, runLabel } from '../../src/volumes/objects.ts'
import type { Readers } from '../kit.ts'
import { bindingOf } from './binding.ts'
import { diskOf, modesOf, type NasDisk } from './disk.ts'

type Act = Pick<Readers, 'cluster' | 'run'> & { kubernetes: KubernetesWriter; wait: Acting['wait'] }

/** What a PersistentVolume says that matters here. */
interface VolumeSpec {
  claimRef?: { namespace?: string; name?: string; uid?: string }
  csi?: { volumeHandle?: string }
}

/**
 * Binds a claim to one disk and to no other: the PersistentVolume first (kept whatever happens, promised to the claim by
 * name), then the claim that names it, and then a look at what it is bound to. A volume that was left behind by an older
 * incarnation of the claim is freed of it. What this run made and what came out wrong is taken away again, by uid.
 * Throws Fault `disk-in-use`, `volume-name-taken`, `claim-bound-to-another`.
 */
export async function bindTo(
  volume: MappedVolume,
  lun: NasDisk,
  act: Act,
  /** The file system that was found on it. */
  seen?: string,
): Promise<void> {
  const { cluster, kubernetes, run, wait } = act
  const [namespace = '', claimName = ''] = volume.claim.split('/')
  const claim = statedClaim(cluster.inventory, volume.claim)
  const accessModes = modesOf(cluster, volume.claim)
  const labels = { [runLabel]: run.id }
  const stated = statedVolumeTo(cluster.inventory, lun.uuid)?.name
  const name = await volumeNameFor(volume.claim, { ...lun, stated }, kubernetes)
  await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  await freeOfFormerClaim(name, { namespace, name: claimName }, kubernetes)
  const ref = { apiVersion: 'v1', kind: 'PersistentVolume', name }
  const wanted = persistentVolume(name, { namespace, name: claimName }, diskOf(cluster, volume, lun, seen), {
    storageClass: volume.storageClass,
    accessModes,
    labels,
  })
  const { claimRef, persistentVolumeReclaimPolicy } = wanted.spec as Record<string, object>
  // Where a volume leads, and how, cannot be changed; that it is kept, and whose it is, can.
  if (await kubernetes.get(ref))
    await kubernetes.patch(ref, { spec: { claimRef, persistentVolumeReclaimPolicy } })
  else await kubernetes.apply(wanted)
  try {
    await kubernetes.apply(
      persistentVolumeClaim(
        { namespace, name: claimName },
        {
          // A claim may ask for less than the disk has, and never for more.
          sizeBytes: Math.min(volume.sizeBytes, lun.sizeBytes),
          storageClass: volume.storageClass,
          accessModes,
          volumeName: name,
          labels: { ...claim?.labels, ...labels },
          annotations: claim?.annotations ?? {},
        },
      ),
    )
  } catch (thrown) {
    // Somebody else's claim of that name was bound meanwhile: its volume cannot be changed any more.
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state !== 'bound' || binding.handle === lun.uuid) throw thrown
    throw boundToAnother(volume.claim, binding.handle, lun.uuid)
  }
  await wait(`${volume.claim} to be bound`, async () => {
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state !== 'bound') return undefined
    if (binding.handle === lun.uuid) return true
    const undone = await undo(volume.claim, binding.pv, act)
    throw boundToAnother(volume.claim, binding.handle, lun.uuid, undone)
  })
}

/** The volume that leads to the disk already, or a new one's name. Two volumes of one disk share one mount, and end each other's. */
async function volumeNameFor(
  claim: string,
  /** `stated`: the volume of Git that leads to it, which is applied again with everything else later. */
  lun: { uuid: string; name: string; stated: string | undefined },
  kubernetes: KubernetesWriter,
): Promise<string> {
  const all = await kubernetes.list({ apiVersion: 'v1', kind: 'PersistentVolume' })
  const spec = (volume: KubernetesObject) => (volume.spec ?? {}) as VolumeSpec
  const same = all.find(v => spec(v).csi?.volumeHandle === lun.uuid)
  if (same) {
    const { namespace, name } = spec(same).claimRef ?? {}
    if (name !== undefined && `${namespace}/${name}` !== claim)
      throw new Fault({
        code: 'disk-in-use',
        blame: 'operator',
        message: `the PersistentVolume ${same.metadata.name} gives ${lun.name} to ${namespace}/${name}, not to ${claim}; nothing was changed`,
        remedy:
          'Find out whose data is on it; delete that PersistentVolume if it is wrong (its policy must be Retain), then run `recover resume`',
      })
    return same.metadata.name ?? ''
  }
  // A name of 32 characters may be a share's that was cut off.
  const whole = lun.name.startsWith('k8s-csi-') && lun.name.length !== 32
  const name = lun.stated ?? (whole ? lun.name.slice('k8s-csi-'.length) : `recover-${lun.uuid}`)
  const taken = all.find(v => v.metadata.name === name)
  if (!taken) return name
  throw new Fault({
    code: 'volume-name-taken',
    blame: 'operator',
    message: `there is a PersistentVolume ${name} already, and it leads to ${spec(taken).csi?.volumeHandle ?? 'no disk of the NAS'}, not to ${lun.name}; nothing was changed`,
    remedy: 'Where a volume leads cannot be changed: delete it if nobody needs it, then run `recover resume`',
  })
}

/** A volume that a claim of the same name had before is Released, and stays so until its uid is forgotten. */
async function freeOfFormerClaim(
  name: string,
  claim: { namespace: string; name: string },
  kubernetes: KubernetesWriter,
): Promise<void> {
  const ref = { apiVersion: 'v1', kind: 'PersistentVolume', name }
  const live = await kubernetes.get(ref)
  const former = ((live?.spec ?? {}) as VolumeSpec).claimRef?.uid
  if (former === undefined) return
  const now = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...claim })
  if (now?.metadata.uid === former) return
  await kubernetes.patch(ref, { spec: { claimRef: { uid: null, resourceVersion: null } } })
}

/** Takes away the claim and the volume that this run made; says what it took. Others' are left alone. */
async function undo(claim: string, pv: string, { kubernetes, run }: Act): Promise<string[]> {
  const [namespace = '', name = ''] = claim.split('/')
  const undone: string[] = []
  for (const ref of [
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name },
    { apiVersion: 'v1', kind: 'PersistentVolume', name: pv },
  ]) {
    const live = await kubernetes.get(ref)
    if (live?.metadata.uid === undefined || live.metadata.labels?.[runLabel] !== run.id) continue
    const policy = (live.spec as { persistentVolumeReclaimPolicy?: string }).persistentVolumeReclaimPolicy
    // A volume that is not kept takes its disk with it.
    if (live.kind === 'PersistentVolume' && policy !== 'Retain') continue
    await kubernetes.remove(refOf(live), live.metadata.uid)
    undone.push(`${live.kind} ${live.metadata.name}`)
  }
  return undone
}

/** The very thing that must not happen: the claim has a disk, and it is not the one with its data. */
export function boundToAnother(claim: string, found: string, wanted: string, undone: string[] = []): Fault {
  return new Fault({
    code: 'claim-bound-to-another',
    blame: 'operator',
    message: `${claim} is bound to the disk ${found}, not to ${wanted}, which holds its data; nothing was started on it${undone.length > 0 ? `, and what this run had made was taken away again (${undone.join(', ')})` : ''}`,
    remedy: `Find out who bound it. If nothing on ${found} is needed, delete the claim (kubectl delete pvc), then run \`recover resume\``,
  })
}
