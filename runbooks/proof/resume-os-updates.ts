import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { checkAnswer } from '../applications/check.ts'
import { eachHost } from '../hosts/each-host.ts'
import { holdOsUpdates } from '../hosts/hold-os-updates.ts'
import { step } from '../kit.ts'

const updaters = ['update-engine', 'locksmithd']

/** The machines look after themselves again. */
export const resumeOsUpdates = step({
  id: 'proof/resume-os-updates',
  title: host => `Resume OS updates on ${host.name}`,
  byHand: '`sudo systemctl start update-engine locksmithd`.',
  each: eachHost,
  needs: [holdOsUpdates, checkAnswer],
  danger: 'changes',
  serves: ['hosts'],
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 4, delay: '2s' },
  uses: host => [`host:${host.name}`],
  output: z.strictObject({}),
  async observe({ host, hosts, signal }) {
    const { units } = await hosts.ours(host.name, signal, h => h.facts(signal))
    const stopped = updaters.filter(u => units[u] !== 'active')
    return stopped.length === 0
      ? done({}, `${updaters.join(' and ')} run on ${host.name}`)
      : due(`start ${stopped.join(' and ')} on ${host.name}`)
  },
  async apply({ host, hosts, signal }) {
    await hosts.changeOurs(host.name, signal, async h => {
      await h.dropLock(signal)
      await h.startUnits(updaters, signal)
    })
  },
})
