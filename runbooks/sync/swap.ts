import { z } from 'zod'
import type { KubernetesObject, KubernetesReader, KubernetesWriter } from '../../src/kubernetes/kubernetes.ts'
import { lunOf, shareOf } from '../../src/nas/lists.ts'
import { shareDescription } from '../../src/nas/nas.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { type Acting, done, due, type Looking } from '../../src/runbook/step.ts'
import { handleOf } from '../../src/volumes/moves.ts'
import { persistentVolumeClaim, runLabel } from '../../src/volumes/objects.ts'
import { type Readers, step } from '../kit.ts'
import { boundToAnother } from '../volumes/bind.ts'
import { bindingOf } from '../volumes/binding.ts'
import { cloneMove } from './clone.ts'
import { copyMove } from './copy.ts'
import { mustBeQuiet } from './fence.ts'
import { policyOf } from './keep-disk.ts'
import { eachMove } from './look-at-claims.ts'
import { type Move, oldDisk, standInOf } from './moves.ts'
import { sameCluster } from './same-cluster.ts'
import { verifyMove } from './verify.ts'

/**
 * The new disk under the claim's own name. What a claim leads to cannot be changed, so the claim goes and comes again; its
 * old disk stays, with its target off or its share closed. Nothing is taken away before the new disk is proven.
 */
export const swapDisk = step({
  id: 'volumes/swap',
  title: volume => `Put the new disk in the place of ${volume.claim}’s`,
  byHand:
    'Set both PersistentVolumes to Retain; delete the new disk’s claim and the old claim; write the old claim’s name into the new volume’s claimRef without a uid; apply the claim with volumeName; see what it is bound to.',
  each: eachMove,
  needs: [copyMove, cloneMove, verifyMove],
  danger: 'destroys',
  bounds: { expected: '20s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['api'],
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe(look) {
    sameCluster(look)
    const { volume, kubernetes, nas } = look
    const old = oldDisk(volume)
    const made = newDisk(volume, look)
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state === 'bound' && binding.handle !== old.uuid && binding.handle !== made?.handle)
      throw boundToAnother(volume.claim, binding.handle, made?.handle ?? old.uuid)
    if (!made || binding.state !== 'bound' || binding.handle !== made.handle)
      return due(`delete the claim ${volume.claim} and make it anew, with the new disk; ${old.name} is kept`)
    const left = [
      ...((await oldVolume(volume, kubernetes))
        ? [`delete the PersistentVolume ${volume.pv}, which led to ${old.name}`]
        : []),
      ...((await wrongDescriptions(volume, made, nas)).length > 0
        ? ['say on the NAS whose disk is which']
        : []),
    ]
    return left.length > 0
      ? due(...left)
      : done(
          made,
          `${volume.claim} is bound to ${made.handle}; ${old.name} is kept, ${volume.share ? 'and its NFS rules let nobody in' : 'with its target off'}`,
        )
  },
  async victims(look) {
    const { volume, kubernetes } = look
    const [namespace = '', name = ''] = volume.claim.split('/')
    const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name })
    const made = newDisk(volume, look)
    const isNew = live !== undefined && made !== undefined && volumeOf(live) === made.pv
    const uid = live === undefined || isNew ? volume.claimUid : (live.metadata.uid ?? '')
    const old = oldDisk(volume)
    return [
      {
        kind: 'claim',
        name: volume.claim,
        identity: { uid, volume: volume.pv, [volume.share ? 'share' : 'lun']: old.uuid },
        content: [
          `the claim that leads to ${old.name}; it comes again with a new disk, and the ${volume.share ? 'share' : 'LUN'} is kept until you delete it`,
        ],
      },
    ]
  },
  async apply(act) {
    const { volume, kubernetes, nas, run, wait } = act
    const made = newDisk(volume, act)
    if (!made) throw new Error(`${volume.claim} has no new disk`)
    const [namespace = '', name = ''] = volume.claim.split('/')
    const binding = await bindingOf(kubernetes, volume.claim)
    if (binding.state !== 'bound' || binding.handle !== made.handle) {
      await mustBeQuiet(volume, act)
      await reserve(volume, made, standInOf(volume, run), act)
      await giveUpOldClaim(volume, act)
      await kubernetes.apply(
        persistentVolumeClaim(
          { namespace, name },
          {
            // A clone is as large as what it was made of; a claim may ask for less than its disk has, and never for more.
            sizeBytes:
              volume.strategy === 'clone'
                ? Math.min(volume.sizeBytes, (volume.lun ?? volume.share)?.sizeBytes ?? 0)
                : volume.sizeBytes,
            storageClass: volume.storageClass,
            accessModes: volume.accessModes,
            volumeName: made.pv,
            labels: { ...volume.labels, [runLabel]: run.id },
            annotations: volume.annotations,
          },
        ),
      )
      await wait(`${volume.claim} to be bound to its new disk`, async () => {
        const now = await bindingOf(kubernetes, volume.claim)
        if (now.state !== 'bound') return undefined
        if (now.handle === made.handle) return true
        throw boundToAnother(volume.claim, now.handle, made.handle)
      })
    }
    const old = await oldVolume(volume, kubernetes)
    if (old) await removeKept(old.name, old.uid, act)
    for (const { disk, share, description } of await wrongDescriptions(volume, made, nas))
      await (share ? nas.describeShare(disk, description) : nas.describeLun(disk, description))
  },
})

type Act = Pick<Acting, 'wait'> & { kubernetes: KubernetesWriter }

/** The disk that was copied or cloned for it; undefined while there is none. */
function newDisk({ claim }: Move, { outputOf }: Pick<Looking, 'outputOf'>) {
  const made = outputOf(copyMove, claim) ?? outputOf(cloneMove, claim)
  return made && { pv: made.pv, handle: made.handle }
}

function volumeOf(claim: KubernetesObject): string | undefined {
  return (claim.spec as { volumeName?: string } | undefined)?.volumeName
}

/** Frees the new volume of the claim under which it was filled, and promises it to the claim that it is for. */
async function reserve(
  volume: Move,
  made: { pv: string; handle: string },
  standIn: string,
  { kubernetes, wait }: Act,
): Promise<void> {
  const ref = { apiVersion: 'v1', kind: 'PersistentVolume', name: made.pv }
  await kubernetes.patch(ref, { spec: { persistentVolumeReclaimPolicy: 'Retain' } })
  const live = await kubernetes.get(ref)
  const spec = (live?.spec ?? {}) as {
    persistentVolumeReclaimPolicy?: string
    claimRef?: { namespace?: string; name?: string }
  }
  if (handleOf(live) !== made.handle || spec.persistentVolumeReclaimPolicy !== 'Retain')
    throw new Fault({
      code: 'new-disk-gone',
      blame: 'operator',
      message: `the PersistentVolume ${made.pv}, to which ${volume.claim} was copied, is gone or leads elsewhere; the claim was left as it is`,
      remedy: 'Find out who deleted it; then begin again with `recover volumes plan`',
    })
  const [namespace = '', name = ''] = volume.claim.split('/')
  if (spec.claimRef?.namespace === namespace && spec.claimRef.name === name) return
  await removeClaim(standIn, undefined, { kubernetes, wait })
  await kubernetes.patch(ref, {
    spec: {
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace,
        name,
        uid: null,
        resourceVersion: null,
      },
    },
  })
}

/** Takes away the claim that led to the old disk: that one, by its uid, and only while its volume keeps the disk. */
async function giveUpOldClaim(volume: Move, act: Act): Promise<void> {
  const { kubernetes } = act
  const [namespace = '', name = ''] = volume.claim.split('/')
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name })
  if (live?.metadata.uid !== volume.claimUid) return
  if ((await policyOf(volume, kubernetes)) !== 'Retain')
    throw new Fault({
      code: 'disk-not-kept',
      blame: 'operator',
      message: `somebody has set the reclaim policy of the PersistentVolume ${volume.pv} back: with its claim the ${volume.share ? 'share' : 'LUN'} ${oldDisk(volume).name} would be deleted; nothing was deleted`,
      remedy: `kubectl patch pv ${volume.pv} -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}', then run \`recover resume\``,
    })
  await removeClaim(volume.claim, volume.claimUid, act)
}

async function removeClaim(claim: string, uid: string | undefined, { kubernetes, wait }: Act): Promise<void> {
  const [namespace = '', name = ''] = claim.split('/')
  const ref = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name }
  const live = await kubernetes.get(ref)
  const exact = uid ?? live?.metadata.uid
  if (!live || exact === undefined) return
  await kubernetes.remove(ref, exact)
  await wait(`the claim ${claim} to be gone`, async () =>
    (await kubernetes.get(ref))?.metadata.uid === exact ? undefined : true,
  )
}

/** The volume that led to the old disk, while it is there. */
async function oldVolume(volume: Move, kubernetes: KubernetesReader) {
  const { pv: name } = volume
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolume', name })
  return live && handleOf(live) === oldDisk(volume).uuid ? { name, uid: live.metadata.uid ?? '' } : undefined
}

/** Deletes a volume that keeps its disk and that no claim has; the disk itself stays. */
async function removeKept(name: string, uid: string, { kubernetes, wait }: Act): Promise<void> {
  const ref = { apiVersion: 'v1', kind: 'PersistentVolume', name }
  const live = await kubernetes.get(ref)
  const policy = (live?.spec as { persistentVolumeReclaimPolicy?: string } | undefined)
    ?.persistentVolumeReclaimPolicy
  if (!live || policy !== 'Retain') return
  await kubernetes.remove(ref, uid)
  await wait(`the PersistentVolume ${name} to be gone`, async () =>
    (await kubernetes.get(ref))?.metadata.uid === uid ? undefined : true,
  )
}

/**
 * Descriptions on the NAS that would tell the next recovery the wrong disk: the driver has written the stand-in's name on
 * the new one, and the claim's own on the old one. Of its shares it says the same of all, so that they tell nothing.
 */
async function wrongDescriptions(
  volume: Move,
  made: { handle: string },
  nas: Readers['nas'],
): Promise<{ disk: string; share: boolean; description: string }[]> {
  const luns = await nas.luns()
  const shares = await nas.shares()
  const wanted = [
    { disk: made.handle, description: volume.claim },
    {
      disk: oldDisk(volume).uuid,
      // A share's has not the room for more.
      description: volume.share
        ? `formerly ${volume.claim}`
        : `was ${volume.claim} until ${made.handle} took its place`,
    },
  ]
  return wanted.flatMap(w => {
    const share = shareOf(shares, w.disk)
    const found = share ?? lunOf(luns, w.disk)
    const wrong = found && found.description !== (share ? shareDescription(w.description) : w.description)
    return wrong ? [{ ...w, share: share !== undefined }] : []
  })
}
