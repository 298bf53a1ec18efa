import { z } from 'zod'
import { lockHost } from '../../src/hosts/host-lock.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { eachHost } from './each-host.ts'
import { installFlatcar } from './install-flatcar.ts'

const updaters = ['update-engine', 'locksmithd']

/** A fresh Flatcar would update itself and reboot in the middle of everything. */
export const holdOsUpdates = step({
  id: 'hosts/hold-os-updates',
  title: host => `Hold OS updates on ${host.name}`,
  byHand:
    '`sudo systemctl stop update-engine locksmithd`, so that the machine does not reboot in the middle.',
  each: eachHost,
  needs: [installFlatcar],
  danger: 'changes',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 4, delay: '2s' },
  holdsUntil: 'proof/resume-os-updates',
  uses: host => [`host:${host.name}`],
  output: z.strictObject({}),
  async observe({ host, hosts, signal }) {
    const { units } = await hosts.ours(host.name, signal, h => h.facts(signal))
    const running = updaters.filter(u => units[u] === 'active')
    return running.length === 0
      ? done({}, `${updaters.join(' and ')} do not run on ${host.name}`)
      : due(`stop ${running.join(' and ')} on ${host.name}`)
  },
  async apply({ host, hosts, run, signal }) {
    await hosts.changeOurs(host.name, signal, async h => {
      await lockHost(h, run.id, signal)
      await h.stopUnits(updaters, signal)
    })
  },
})
