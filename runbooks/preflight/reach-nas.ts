import { z } from 'zod'
import type { Warning } from '../../src/runbook/step.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** The NAS lets us in, and its volumes are well. */
export const reachNas = step({
  id: 'preflight/reach-nas',
  title: 'Reach the NAS',
  byHand: 'Log in to DSM; Storage Manager must call every volume normal.',
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 5, delay: '2s' },
  uses: () => ['nas'],
  output: z.strictObject({
    model: z.string(),
    hostname: z.string(),
    luns: z.number(),
    /** 0 where the NAS does not say. */
    snapshotsPerLun: z.number(),
  }),
  async observe({ nas, cluster }) {
    const about = await nas.describe()
    const { can } = about
    if (can.driver === undefined || !can.snapshots || !can.clones)
      return blocked(
        'nas-cannot-recover',
        `${about.model} "${about.hostname}" lacks what a recovery of volumes needs: ${can.lacks.join('; ')}`,
        'Bring the cluster back by hand, by `recover runbook`; `recover volumes list` and `recover nas inspect` work with this NAS, too',
      )
    const sick = about.volumes.filter(v => v.status !== 'normal')
    if (sick.length > 0)
      return blocked(
        'nas-volume-sick',
        `the NAS calls ${sick.map(v => `${v.path} "${v.status}"`).join(', ')}`,
        'Mend it in DSM’s Storage Manager before anything is built on it',
      )
    const luns = await nas.luns()
    return done(
      {
        model: about.model,
        hostname: about.hostname,
        luns: luns.length,
        snapshotsPerLun: about.limits.snapshotsPerLun,
      },
      `${about.model} "${about.hostname}" has ${luns.length} LUNs and ${(await nas.targets()).length} targets`,
      'unencrypted' in cluster.entry.nas && cluster.entry.nas.unencrypted ? { warnings: [unencrypted] } : {},
    )
  },
})

const unencrypted: Warning = {
  code: 'nas-unencrypted',
  blame: 'operator',
  message:
    'recover.yaml accepts that the NAS is spoken to without encryption: its password, and the session that may delete every LUN, can be read on the way',
  remedy:
    'Write https:// and the port 5001 under nas, and the certificate’s fingerprint; DSM has both as it is delivered',
}
