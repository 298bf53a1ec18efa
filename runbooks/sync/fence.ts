import { z } from 'zod'
import { targetOf } from '../../src/nas/lists.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { type Readers, step } from '../kit.ts'
import { eachMove } from './look-at-claims.ts'
import type { Move } from './moves.ts'
import { sameCluster } from './same-cluster.ts'
import { stopOwners } from './stop-owners.ts'
import { usersNow } from './users.ts'

/** Nobody can write to the old disk any more: no machine is logged in, and its target is switched off until the end. */
export const fenceMove = step({
  id: 'protect/fence',
  title: volume => `Fence the disk of ${volume.claim}`,
  byHand: 'In SAN Manager wait until nobody is connected to the LUN’s target, then disable it.',
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
    const { volume, nas } = look
    const target = await targetNow(volume, nas)
    if (!target) return done({ target: '' }, `${volume.lun.name} is mapped to no target: nobody can reach it`)
    if (target.sessions.length === 0 && !target.enabled)
      return done({ target: target.name }, `target ${target.name} is off and has no session`)
    return due(
      ...target.sessions.map(s => `wait for ${s.initiator} (${s.ip}) to log out of ${target.name}`),
      ...(target.enabled ? [`switch off target ${target.name}`] : []),
    )
  },
  async apply({ volume, nas, wait }) {
    // Switched off at once, a mounted file system would be cut in the middle of what it writes.
    await wait(`the nodes to let go of the disk of ${volume.claim}`, async () =>
      ((await targetNow(volume, nas))?.sessions.length ?? 0) === 0 ? true : undefined,
    )
    const target = await targetNow(volume, nas)
    if (target) await nas.setTargetEnabled(target.id, false)
  },
})

async function targetNow({ lun }: Move, nas: Readers['nas']) {
  return targetOf(await nas.targets(), lun.uuid)
}

/** Looked at again right before the old disk is given up. Throws Fault `old-disk-in-use`. */
export async function mustBeQuiet(
  volume: Move,
  { kubernetes, nas }: Pick<Readers, 'kubernetes' | 'nas'>,
): Promise<void> {
  const target = await targetNow(volume, nas)
  const users = [
    ...(await usersNow(kubernetes, [volume.claim])),
    ...(target?.sessions.map(s => `${s.initiator} at ${s.ip}`) ?? []),
    ...(target?.enabled ? [`whoever may log in to target ${target.name}, which is on again`] : []),
  ]
  if (users.length === 0) return
  throw new Fault({
    code: 'old-disk-in-use',
    blame: 'operator',
    message: `${users.join(', ')} may have written to the disk of ${volume.claim} since it was copied; its claim was left as it is`,
    remedy: `Stop it and switch the target off; what was written since is not on the new disk. Then begin again with \`recover volumes plan\`, or, if nothing was written, run \`recover resume\``,
  })
}
