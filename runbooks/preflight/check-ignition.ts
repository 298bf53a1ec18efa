import { z } from 'zod'
import { checkIgnition } from '../../src/hosts/ignition/prepare.ts'
import { done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** Every host's config compiles and would make a machine that one can log in to. */
export const checkIgnitions = step({
  id: 'preflight/check-ignition',
  title: 'Check every host’s Ignition config',
  byHand:
    '`butane --strict --files-dir . HOST.bu | ignition-validate -`; see that it holds your SSH key and sets the hostname.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '5m' },
  output: z.strictObject({ hosts: z.array(z.string()) }),
  async observe({ cluster, ignition, signal }) {
    const hosts = cluster.k0sctl.hosts.map(h => h.name)
    for (const host of hosts) {
      const { text, shown } = await ignition(host, signal)
      checkIgnition(text, shown)
    }
    return done({ hosts }, `the Ignition configs of ${hosts.join(', ')} can be used`)
  },
})
