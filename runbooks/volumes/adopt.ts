import { z } from 'zod'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { persistentVolume, persistentVolumeClaim } from '../../src/volumes/objects.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { fenceVolume } from '../protect/fence.ts'
import { bindingOf } from './binding.ts'
import { diskOf, measureVolume } from './measure.ts'

/** The old disk itself, bound to its claim again. Nothing is moved; the snapshot is the way back. */
export const adoptVolume = step({
  id: 'volumes/adopt',
  title: volume => `Adopt the disk of ${volume.claim}`,
  byHand:
    'Enable the LUN’s target; apply a PersistentVolume (Retain, volumeHandle = the LUN’s uuid, claimRef without uid), then the claim with volumeName; see that it is Bound to that volume.',
  each: eachVolume,
  only: volume => volume.strategy === 'adopt' && volume.lun !== undefined,
  needs: [measureVolume, fenceVolume],
  danger: 'changes',
  bounds: { expected: '10s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe({ volume, kubernetes, nas }) {
    const { uuid, name } = volume.lun!
    const target = (await nas.targets()).find(t => t.mappings.some(m => m.lun === uuid))
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state === 'bound' && binding.handle !== uuid)
      throw boundToAnother(volume.claim, binding.handle, uuid)
    if (binding.state === 'bound' && target?.enabled)
      return done({ pv: binding.pv, handle: uuid }, `${volume.claim} is bound to ${name} itself (${uuid})`)
    return due(
      ...(target?.enabled ? [] : [`switch on target ${target?.name ?? `of ${name}`} again`]),
      ...(binding.state === 'bound' ? [] : [`bind ${volume.claim} to ${name} (${uuid})`]),
    )
  },
  async apply({ volume, cluster, kubernetes, nas, wait }) {
    const { uuid, name, sizeBytes } = volume.lun!
    const [namespace = '', claimName = ''] = volume.claim.split('/')
    const target = (await nas.targets()).find(t => t.mappings.some(m => m.lun === uuid))
    // The driver takes the number of the target's first mapping, whichever disk was meant: one disk to a target, always.
    if (target?.mappings.length !== 1)
      throw new Fault({
        code: 'target-unfit',
        blame: 'operator',
        message: target
          ? `target ${target.name} leads to ${target.mappings.length} LUNs; the CSI driver would mount the first, whichever it is`
          : `${name} is mapped to no target; the CSI driver would not find it`,
        remedy: 'Give this LUN a target of its own in DSM’s SAN Manager, then run `recover resume`',
      })
    await nas.setTargetEnabled(target.id, true)
    const claim = cluster.inventory.claims.find(c => c.id === volume.claim)
    const accessModes = claim?.accessModes.length ? claim.accessModes : ['ReadWriteOnce']
    const pv = name.startsWith('k8s-csi-') ? name.slice('k8s-csi-'.length) : `recover-${uuid}`
    await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    await kubernetes.apply(
      persistentVolume(pv, { namespace, name: claimName }, diskOf(cluster, volume, { uuid, sizeBytes }), {
        storageClass: volume.storageClass,
        accessModes,
      }),
    )
    await kubernetes.apply(
      persistentVolumeClaim(
        { namespace, name: claimName },
        {
          sizeBytes: Math.min(volume.sizeBytes, sizeBytes),
          storageClass: volume.storageClass,
          accessModes,
          volumeName: pv,
          labels: claim?.labels ?? {},
          annotations: claim?.annotations ?? {},
        },
      ),
    )
    await wait(`${volume.claim} to be bound`, async () => {
      const binding = await bindingOf(kubernetes, volume.claim)
      if (binding.state !== 'bound') return undefined
      if (binding.handle !== uuid) throw boundToAnother(volume.claim, binding.handle, uuid)
      return true
    })
  },
})

/** The very thing that must not happen: the claim has a disk, and it is not the one with its data. */
export function boundToAnother(claim: string, found: string, wanted: string): Fault {
  return new Fault({
    code: 'claim-bound-to-another',
    blame: 'operator',
    message: `${claim} is bound to the disk ${found}, not to ${wanted}, which holds its data; nothing was started on it`,
    remedy: `Find out who bound it. If nothing on ${found} is needed, delete the claim (kubectl delete pvc), then run \`recover resume\``,
  })
}
