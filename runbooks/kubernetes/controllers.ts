import { z } from 'zod'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { holdOsUpdates } from '../hosts/hold-os-updates.ts'
import { step } from '../kit.ts'
import { applyK0s } from './apply-k0s.ts'

/** k0s on the controllers, alone first: what fails while only they are there cannot take a worker along. */
export const startControllers = step({
  id: 'kubernetes/controllers',
  title: 'Start the control plane',
  byHand:
    '`k0sctl apply --no-wait` with the controllers alone in k0sctl.yaml; wait until `sudo k0s kubectl get --raw=/readyz` says ok.',
  needs: [holdOsUpdates],
  danger: 'changes',
  bounds: { expected: '1m', limit: '45m' },
  retry: { times: 3, delay: '5s' },
  uses: () => ['k0sctl'],
  output: z.strictObject({ version: z.string() }),
  async observe({ cluster, hosts, signal }) {
    const versions = new Set<string>()
    for (const { name } of cluster.k0sctl.hosts.filter(h => h.role !== 'worker')) {
      const probe = await hosts.probe(name, signal)
      if (probe.state !== 'answers') return due(`install k0s ${cluster.k0sctl.version} on ${name}`)
      const k0s = await hosts.ours(name, signal, h => h.k0s(signal))
      if (!k0s.ready) return due(`install k0s ${cluster.k0sctl.version} on ${name} and start it`)
      versions.add(k0s.version)
    }
    const [version = ''] = versions
    return done({ version }, `the API on every controller says it is ready (k0s ${version})`)
  },
  async apply({ k0sctl, signal, note, wait, cluster, hosts }) {
    await applyK0s('controllers', { k0sctl, signal, note })
    // k0sctl comes back while the control plane it restarted is still getting up.
    for (const { name } of cluster.k0sctl.hosts.filter(h => h.role !== 'worker'))
      await wait(`the API on ${name} to be ready`, async () => {
        try {
          const k0s = await hosts.ours(name, signal, h => h.k0s(signal))
          return k0s.ready || undefined
        } catch (thrown) {
          if (thrown instanceof Fault && thrown.transient) return undefined
          throw thrown
        }
      })
  },
})
