import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { eachHost } from '../hosts/each-host.ts'
import { installFlatcar } from '../hosts/install-flatcar.ts'
import { step } from '../kit.ts'

const words = { media: 'eject the virtual CD', 'boot-order': 'take back the order for the next boot' }

/**
 * Nothing of the installation lies in wait any more: no answers for machines that boot from the network, no CD in a
 * virtual drive, no order for a next boot. Every rung takes down what it put up; this finds what a killed run left.
 */
export const disarm = step({
  id: 'proof/disarm',
  title: host => `Disarm the ways to install ${host.name}`,
  byHand: 'Eject the virtual CD and clear the one-time boot in the BMC; end dnsmasq on this computer.',
  each: eachHost,
  needs: [installFlatcar],
  danger: 'changes',
  bounds: { expected: '2s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: host => [`host:${host.name}`],
  output: z.strictObject({}),
  async observe({ host, hosts }) {
    const left = hosts.leftovers(host.name)
    return left.length === 0
      ? done({}, `nothing that would boot ${host.name} from elsewhere than its disk is left`)
      : due(`${left.map(what => words[what]).join(' and ')} of ${host.name}`)
  },
  async apply({ host, hosts, signal }) {
    await hosts.disarm(host.name, signal)
  },
})
