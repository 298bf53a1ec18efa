import { Fault } from '../../src/runbook/fault.ts'

/**
 * Two clusters are told apart by the UID of their namespace kube-system. Throws Fault `other-cluster-answers` when it is
 * not this run's; no UID at all says nothing.
 */
export function refuseOtherCluster(ours: string, found: string | undefined): void {
  if (found === undefined || found === ours) return
  throw new Fault({
    code: 'other-cluster-answers',
    blame: 'operator',
    message: `another cluster answers in the place of this run’s: its namespace kube-system has the UID ${found}, this run’s has ${ours}; nothing was changed in it`,
    remedy:
      'Find out which machine answers at the API’s address (an old controller that is still on, a virtual address) and switch it off, or set spec.api in k0sctl.yaml right; then run `recover resume`',
  })
}
