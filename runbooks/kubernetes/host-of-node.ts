import type { K0sHost } from '../../src/cluster/k0sctl-file.ts'
import type { Cluster } from '../../src/cluster/load.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'

/** The machine of k0sctl.yaml that a node is; undefined for one that only a restored cluster remembers. */
export function hostOfNode({ k0sctl }: Cluster, { metadata }: KubernetesObject): K0sHost | undefined {
  return k0sctl.hosts.find(h => h.name === metadata.name?.split('.')[0])
}
