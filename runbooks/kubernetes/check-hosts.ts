import { z } from 'zod'
import { done } from '../../src/runbook/step.ts'
import { holdOsUpdates } from '../hosts/hold-os-updates.ts'
import { step } from '../kit.ts'
import { refuseTroubles } from './k0s-troubles.ts'
import { hostsIn, lookAtK0s } from './look-at-k0s.ts'

/** Nothing on the machines stands in k0sctl's way: no other cluster's data, no clock that is off, nothing half reset. */
export const checkHosts = step({
  id: 'kubernetes/check-hosts',
  title: 'Check the machines for Kubernetes',
  byHand:
    'On each machine: `date` is the same everywhere, /var/lib/k0s is not there or this cluster’s, `sudo k0s status` and `systemctl status k0scontroller k0sworker` agree.',
  needs: [holdOsUpdates],
  danger: 'reads',
  bounds: { expected: '1s', limit: '5m' },
  retry: { times: 3, delay: '5s' },
  output: z.strictObject({}),
  async observe(look) {
    // Until then the old systems answer.
    look.outputs(holdOsUpdates)
    const seen = await lookAtK0s(look, hostsIn(look.cluster, 'all'))
    refuseTroubles(seen, look.run.id)
    return done(
      {},
      `${seen.map(s => s.host.name).join(' and ')} agree on the time, and carry no other cluster’s data`,
    )
  },
})
