import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { whichClusterItWas } from '../evidence/former-cluster.ts'
import { step } from '../kit.ts'
import { untilApiReady } from './api-ready.ts'
import { applyK0s } from './apply-k0s.ts'
import { checkHosts } from './check-hosts.ts'
import { refuseTroubles } from './k0s-troubles.ts'
import { hostsIn, lookAtK0s } from './look-at-k0s.ts'
import { refuseFormerCluster, refuseOtherCluster } from './other-cluster.ts'
import { restoreControlPlane } from './restore.ts'

/** k0s on the controllers, alone first: what fails while only they are there cannot take a worker along. */
export const startControllers = step({
  id: 'kubernetes/controllers',
  title: 'Start the control plane',
  byHand:
    '`k0sctl apply --no-wait` with the controllers alone in k0sctl.yaml; wait until `sudo k0s kubectl get --raw=/readyz` says ok.',
  needs: [checkHosts, restoreControlPlane, whichClusterItWas],
  danger: 'changes',
  bounds: { expected: '1m', limit: '45m' },
  retry: { times: 3, delay: '5s' },
  uses: () => ['k0sctl'],
  output: z.strictObject({ version: z.string(), clusterUid: z.string() }),
  async observe(look) {
    const { cluster, hosts, signal } = look
    const wanted = hostsIn(cluster, 'controllers')
    for (const { name } of wanted) {
      const probe = await hosts.probe(name, signal)
      if (probe.state !== 'answers') return due(`install k0s ${cluster.k0sctl.version} on ${name}`)
    }
    const seen = await lookAtK0s(look, wanted)
    refuseTroubles(seen, look.run.id)
    const down = seen.filter(s => !s.k0s.ready || s.k0s.clusterUid === undefined)
    if (down.length > 0)
      return due(...down.map(s => `install k0s ${cluster.k0sctl.version} on ${s.host.name} and start it`))
    const [first, ...others] = seen.map(s => s.k0s.clusterUid ?? '')
    const { clusters } = look.output(whichClusterItWas)
    for (const other of others) refuseOtherCluster(first ?? '', other, clusters)
    // What was restored is the old one on purpose, and has been compared with its archive.
    if (look.outputs(restoreControlPlane).size === 0)
      refuseFormerCluster(first ?? '', clusters, seen[0]?.host.name ?? '')
    const version = seen[0]?.k0s.version ?? ''
    return done(
      { version, clusterUid: first ?? '' },
      `the API on every controller says it is ready (k0s ${version}); kube-system has the UID ${first}`,
    )
  },
  async apply(act) {
    await applyK0s('controllers', act)
    await untilApiReady(hostsIn(act.cluster, 'controllers'), act)
  },
})
