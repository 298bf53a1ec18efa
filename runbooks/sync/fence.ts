import { z } from 'zod'
import { targetOf } from '../../src/nas/lists.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { type Readers, step } from '../kit.ts'
import { addressesOf } from '../protect/fenced.ts'
import { shareNow } from '../protect/share-now.ts'
import { attachedTo, letIn, mustBeOnlyNodes } from './clients.ts'
import { eachMove } from './look-at-claims.ts'
import { type Move, oldDisk } from './moves.ts'
import { sameCluster } from './same-cluster.ts'
import { stopOwners } from './stop-owners.ts'
import { usersNow } from './users.ts'

/**
 * Nobody can write to the old disk any more: no machine is logged in, and its target is switched off until the end. Of a
 * share, no node has its volume attached, and its NFS rules let nobody in.
 */
export const fenceMove = step({
  id: 'protect/fence',
  title: volume => `Fence the disk of ${volume.claim}`,
  byHand:
    'In SAN Manager wait until nobody is connected to the LUN’s target, then disable it. Of a share: wait until `kubectl get volumeattachments` has none of its PersistentVolume, then set every NFS rule to no access.',
  each: eachMove,
  needs: [stopOwners],
  needsOf: volume => [volume.group],
  danger: 'changes',
  bounds: { expected: '10s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/swap',
  uses: () => ['nas'],
  output: z.strictObject({ target: z.string() }),
  async observe(look) {
    sameCluster(look)
    const { volume, kubernetes, nas } = look
    const { name } = oldDisk(volume)
    if (volume.share) {
      const attached = await attachedTo(volume.pv, kubernetes)
      const open = letIn(await shareNow(volume, nas))
      if (attached.length + open.length === 0)
        return done({ target: '' }, `no node has ${name} attached, and its NFS rules let nobody in`)
      return due(
        ...attached.map(node => `wait for ${node} to let go of ${name}`),
        ...(open.length > 0
          ? [`take ${open.join(', ')} out of those whom the NFS rules of ${name} let in`]
          : []),
      )
    }
    const target = await targetNow(volume, nas)
    if (!target) return done({ target: '' }, `${name} is mapped to no target: nobody can reach it`)
    if (target.sessions.length === 0 && !target.enabled)
      return done({ target: target.name }, `target ${target.name} is off and has no session`)
    return due(
      ...target.sessions.map(s => `wait for ${s.initiator} (${s.ip}) to log out of ${target.name}`),
      ...(target.enabled ? [`switch off target ${target.name}`] : []),
    )
  },
  async apply({ volume, kubernetes, nas, run, wait }) {
    // Its snapshot was taken when nobody could write any more: what was written since is in no copy.
    if (await isSnapshot(volume, `recover-${run.id}`, nas))
      throw inUse(volume, await reachedBy(volume, { kubernetes, nas }))
    // Switched off at once, a mounted file system would be cut in the middle of what it writes.
    const using = async () =>
      volume.share
        ? (await attachedTo(volume.pv, kubernetes)).length
        : ((await targetNow(volume, nas))?.sessions.length ?? 0)
    await wait(`the nodes to let go of the disk of ${volume.claim}`, async () =>
      (await using()) === 0 ? true : undefined,
    )
    if (volume.share) {
      const nodes = addressesOf(await kubernetes.list({ apiVersion: 'v1', kind: 'Node' }))
      mustBeOnlyNodes(volume.claim, await shareNow(volume, nas), nodes)
      await nas.closeShare(volume.share.uuid)
      return
    }
    const target = await targetNow(volume, nas)
    if (target) await nas.setTargetEnabled(target.id, false)
  },
})

async function targetNow(volume: Move, nas: Readers['nas']) {
  return targetOf(await nas.targets(), oldDisk(volume).uuid)
}

async function isSnapshot(volume: Move, name: string, nas: Readers['nas']): Promise<boolean> {
  const { uuid } = oldDisk(volume)
  return volume.share
    ? (await nas.shareSnapshots(uuid)).some(s => s.description === name)
    : (await nas.snapshots(uuid)).some(s => s.name === name)
}

/** Looked at again right before the old disk is given up. Throws Fault `old-disk-in-use`. */
export async function mustBeQuiet(volume: Move, look: Pick<Readers, 'kubernetes' | 'nas'>): Promise<void> {
  const users = [...(await usersNow(look.kubernetes, [volume.claim])), ...(await reachedBy(volume, look))]
  if (users.length > 0) throw inUse(volume, users)
}

function inUse(volume: Move, users: readonly string[]): Fault {
  return new Fault({
    code: 'old-disk-in-use',
    blame: 'operator',
    message: `${users.join(', ') || 'whoever could reach it a moment ago'} may have written to the disk of ${volume.claim} since it was copied; its claim was left as it is`,
    remedy: `Stop it and switch the target off (of a share, set each of its NFS rules to no access); what was written since is not on the new disk. Then begin again with \`recover volumes plan\`, or, if nothing was written, run \`recover resume\``,
  })
}

/** Who can reach a disk that was fenced: the CSI driver opens a share again for each pod that mounts it. */
async function reachedBy(
  volume: Move,
  { kubernetes, nas }: Pick<Readers, 'kubernetes' | 'nas'>,
): Promise<string[]> {
  if (volume.share)
    return [
      ...(await attachedTo(volume.pv, kubernetes)).map(node => `${node}, which has it attached`),
      ...letIn(await shareNow(volume, nas)).map(client => `${client}, whom its NFS rules let in again`),
    ]
  const target = await targetNow(volume, nas)
  return [
    ...(target?.sessions.map(s => `${s.initiator} at ${s.ip}`) ?? []),
    ...(target?.enabled ? [`whoever may log in to target ${target.name}, which is on again`] : []),
  ]
}
