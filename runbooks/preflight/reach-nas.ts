import { z } from 'zod'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** The NAS lets us in, its volumes are well, and there is room for what the run will make. */
export const reachNas = step({
  id: 'preflight/reach-nas',
  title: 'Reach the NAS',
  byHand:
    'Log in to DSM; Storage Manager must call every volume normal, SAN Manager must have room for one more LUN per volume.',
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 5, delay: '2s' },
  uses: () => ['nas'],
  output: z.strictObject({ model: z.string(), hostname: z.string(), luns: z.number() }),
  async observe({ nas, cluster }) {
    const about = await nas.describe()
    const luns = await nas.luns()
    const sick = about.volumes.filter(v => v.status !== 'normal')
    if (sick.length > 0)
      return blocked(
        'nas-volume-sick',
        `the NAS calls ${sick.map(v => `${v.path} "${v.status}"`).join(', ')}`,
        'Mend it in DSM’s Storage Manager before anything is built on it',
      )
    // Each volume that is measured or copied needs a clone with a target of its own for a while.
    const spare = Math.min(about.limits.luns, about.limits.targets) - luns.length
    const wanted = cluster.inventory.claims.length
    if (spare < 1)
      return blocked(
        'nas-limit-reached',
        `this NAS takes no more LUNs or targets (${luns.length} of ${Math.min(about.limits.luns, about.limits.targets)})`,
        'Delete a LUN or target that nobody needs, on purpose and by hand',
      )
    return done(
      { model: about.model, hostname: about.hostname, luns: luns.length },
      `${about.model} "${about.hostname}" has ${luns.length} LUNs and room for ${spare} more (${wanted} claims)`,
      spare >= wanted
        ? {}
        : {
            warnings: [
              {
                code: 'nas-room-short',
                blame: 'operator',
                message: `the NAS has room for ${spare} more LUNs, and ${wanted} claims come back: those that are copied or cloned need one each`,
                remedy: 'Delete LUNs or targets that nobody needs, on purpose and by hand',
              },
            ],
          },
    )
  },
})
