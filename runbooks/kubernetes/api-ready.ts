import type { K0sHost } from '../../src/cluster/k0sctl-file.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Acting } from '../../src/runbook/step.ts'
import type { Readers } from '../kit.ts'
import { lookAtK0s } from './look-at-k0s.ts'

/**
 * Waits until the API of each of these machines is ready and says which cluster it is: k0sctl comes back while the control
 * plane it restarted is still getting up. Throws Fault `api-not-ready` when checks of its own go on failing.
 */
export async function untilApiReady(
  hosts: readonly K0sHost[],
  act: Pick<Readers, 'hosts' | 'k0sctl'> & Pick<Acting, 'signal' | 'wait'>,
): Promise<void> {
  let failing = ''
  for (const host of hosts)
    try {
      await act.wait(`the API on ${host.name} to be ready`, async () => {
        const [now] = await lookAtK0s(act, [host])
        failing = now?.k0s.failing.join(', ') ?? ''
        return (now?.k0s.ready && now.k0s.clusterUid) || undefined
      })
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out' || failing === '') throw thrown
      throw notReady(host.name, failing)
    }
}

function notReady(host: string, failing: string): Fault {
  return new Fault({
    code: 'api-not-ready',
    blame: 'host',
    message: `the API on ${host} is not ready: ${failing} of its own checks fail`,
    remedy: `See why on ${host}: \`sudo journalctl -u k0scontroller -n 200\` (etcd: disk and time; poststarthook: it may take longer), then run \`recover resume\``,
  })
}
