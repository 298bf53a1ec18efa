import { z } from 'zod'
import { lunNamed, shareNamed } from '../../src/nas/lists.ts'
import { done, due } from '../../src/runbook/step.ts'
import { persistentVolume, persistentVolumeClaim, runLabel } from '../../src/volumes/objects.ts'
import { mustFit } from '../../src/volumes/static-volume.ts'
import { step } from '../kit.ts'
import { bindingOf } from '../volumes/binding.ts'
import type { NasDisk } from '../volumes/disk.ts'
import { keptCloneName, keptShareName } from '../volumes/source.ts'
import { eachMove } from './look-at-claims.ts'
import { measureMove } from './measure.ts'
import { diskLike, type Move, oldDisk, standInOf } from './moves.ts'
import { snapshotMove } from './snapshot.ts'

/** A clone of the old disk, made on the NAS, under a claim of its own until it is proven. */
export const cloneMove = step({
  id: 'volumes/clone',
  title: volume => `Clone the disk of ${volume.claim}`,
  byHand:
    'In SAN Manager clone the LUN’s snapshot under a name that begins with k8s-csi-, give it a target of its own (of a share: in Snapshot Replication, with the NFS rules of the old one); apply a PersistentVolume with the clone’s uuid and a claim that names it.',
  each: eachMove,
  only: volume => volume.strategy === 'clone',
  needs: [measureMove],
  danger: 'changes',
  bounds: { expected: '30s', limit: '30m' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/swap',
  uses: () => ['nas'],
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe({ volume, kubernetes, nas, run }) {
    const name = nameOf(volume, run)
    const clone = volume.share ? shareNamed(await nas.shares(), name) : lunNamed(await nas.luns(), name)
    const binding = await bindingOf(kubernetes, standInOf(volume, run))
    if (clone && binding.state === 'bound' && binding.handle === clone.uuid)
      return done(
        { pv: binding.pv, handle: clone.uuid },
        `${name} (${clone.uuid}) is a clone of ${oldDisk(volume).name}`,
      )
    return due(
      ...(clone ? [] : [`clone ${oldDisk(volume).name} as ${name} on the NAS`]),
      `bind ${standInOf(volume, run)} to it`,
    )
  },
  async apply({ volume, kubernetes, nas, output, run, wait }) {
    const { accessModes, storageClass } = volume
    const { uuid } = oldDisk(volume)
    const { snapshot } = output(snapshotMove)
    const as = { name: nameOf(volume, run), description: standInOf(volume, run) }
    const clone: NasDisk = volume.share
      ? await nas.cloneShare({ share: uuid, snapshot }, as)
      : await nas.clone({ lun: uuid, snapshot }, as)
    const disk = diskLike(volume, clone)
    if (!volume.share) {
      const wanted = { claim: volume.claim, lun: clone.uuid, driver: disk.driver, accessModes }
      mustFit(wanted, await nas.luns(), await nas.targets())
    }
    const [namespace = '', name = ''] = standInOf(volume, run).split('/')
    const pv = clone.name.replace(/^k8s-csi-/, '')
    const labels = { [runLabel]: run.id }
    const there = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolume', name: pv })
    if (!there)
      await kubernetes.apply(
        persistentVolume(pv, { namespace, name }, disk, { storageClass, accessModes, labels }),
      )
    await kubernetes.apply(
      persistentVolumeClaim(
        { namespace, name },
        {
          sizeBytes: Math.min(volume.sizeBytes, disk.sizeBytes),
          storageClass,
          accessModes,
          volumeName: pv,
          labels,
        },
      ),
    )
    await wait(`${namespace}/${name} to be bound`, async () =>
      (await bindingOf(kubernetes, `${namespace}/${name}`)).state === 'bound' ? true : undefined,
    )
  },
})

function nameOf(volume: Move, run: { id: string }): string {
  return volume.share ? keptShareName(volume, run) : keptCloneName(volume, run)
}
