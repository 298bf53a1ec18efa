import { Fault } from '../../src/runbook/fault.ts'
import type { FormerCluster } from '../evidence/former-cluster.ts'

/**
 * Two clusters are told apart by the UID of their namespace kube-system. Throws Fault `other-cluster-answers` when it is
 * not this run's; no UID at all says nothing.
 */
export function refuseOtherCluster(
  ours: string,
  found: string | undefined,
  former: readonly FormerCluster[] = [],
): void {
  if (found === undefined || found === ours) return
  const old = former.find(c => c.uid === found)
  throw new Fault({
    code: 'other-cluster-answers',
    blame: 'operator',
    message: `${old ? `the old cluster (${old.sources.join(', ')})` : 'another cluster'} answers in the place of this run’s: its namespace kube-system has the UID ${found}, this run’s has ${ours}; nothing was changed in it`,
    remedy:
      'Find out which machine answers at the API’s address (an old controller that is still on, a virtual address) and switch it off, or set spec.api in k0sctl.yaml right; then run `recover resume`',
  })
}

/**
 * A control plane that is to be new must not be the one that died, come back from data that somebody put there. Throws
 * Fault `old-cluster-returned`.
 */
export function refuseFormerCluster(found: string, former: readonly FormerCluster[], host: string): void {
  const old = former.find(c => c.uid === found)
  if (old === undefined) return
  throw new Fault({
    code: 'old-cluster-returned',
    blame: 'operator',
    message: `${host} runs the old cluster’s control plane: its namespace kube-system has the UID ${found}, as ${old.sources.join(' and ')} knew it; this run makes a new one, and has changed nothing in it`,
    remedy: `If it is to be restored, name the archive in recover.yaml (restore.k0s) and begin anew. Otherwise find out who put its data on ${host}, save it, remove it there and reboot ${host}; then run \`recover resume\``,
  })
}
