import type { Looking } from '../../src/runbook/step.ts'
import { refuseOtherCluster } from '../kubernetes/other-cluster.ts'
import { findCluster } from './find-cluster.ts'
import { lookAtClaims } from './look-at-claims.ts'

/** The cluster that answers now is the one that was looked at when the run began. Throws Fault `other-cluster-answers`. */
export function sameCluster({ output }: Pick<Looking, 'output'>): void {
  refuseOtherCluster(output(lookAtClaims).clusterUid, output(findCluster).clusterUid)
}
