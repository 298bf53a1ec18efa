import { z } from 'zod'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { reachNas } from './reach-nas.ts'
import { roomOnNas, tooLittleRoom } from './room-on-nas.ts'

/** The NAS takes as many LUNs and targets more as the run will make. */
export const findRoom = step({
  id: 'preflight/find-room',
  title: 'Find room on the NAS for what the run makes',
  byHand:
    'SAN Manager must have room for one more LUN and target for each volume that gets a new disk, and for four more while volumes are measured.',
  needs: [reachNas],
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 5, delay: '2s' },
  // From then on the CSI driver makes disks for the run's claims, and nothing about them says so.
  holdsUntil: 'volumes/let-through',
  uses: () => ['nas'],
  output: z.strictObject({}),
  async observe({ nas, cluster, run }) {
    const { limits } = await nas.describe()
    const room = await roomOnNas(nas, limits, cluster, run.id)
    if (room.lacks.length > 0)
      return blocked(
        'nas-limit-reached',
        tooLittleRoom(room),
        'Delete LUNs and targets that nobody needs, on purpose and by hand; or say `adopt` for more claims in recover.yaml (volumes), which leaves nothing new behind',
      )
    const { luns, targets } = room
    return done(
      {},
      `there are ${luns.used} LUNs and ${targets.used} targets${luns.most > 0 ? ` of at most ${luns.most} and ${targets.most}` : ''}; the run makes up to ${luns.wanted} of each`,
    )
  },
})
