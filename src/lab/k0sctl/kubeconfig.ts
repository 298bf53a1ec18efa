import { parse, stringify } from 'yaml'
import type { SshConnection } from '../../hosts/ssh.ts'
import { type Cluster, type Host, must, sudo } from './host.ts'

interface AdminKubeconfig {
  clusters: { cluster: Record<string, unknown> }[]
  users: { user: Record<string, unknown> }[]
}

/**
 * The admin kubeconfig with the names that k0sctl gives it.
 * @param address taken as it is, instead of the API's own
 */
export async function adminKubeconfig(
  line: SshConnection,
  leader: Host,
  cluster: Cluster,
  address: string | undefined,
): Promise<string> {
  const admin = parse(
    await must(line, leader, sudo('/opt/bin/k0s kubeconfig admin --data-dir=/var/lib/k0s')),
  ) as AdminKubeconfig
  const name = cluster.metadata?.name ?? 'k0s-cluster'
  const { cluster: api } = admin.clusters[0] ?? { cluster: {} }
  return stringify(
    {
      apiVersion: 'v1',
      clusters: [{ cluster: address === undefined ? api : { ...api, server: address }, name }],
      contexts: [{ context: { cluster: name, namespace: 'default', user: 'admin' }, name }],
      'current-context': name,
      kind: 'Config',
      users: [{ name: 'admin', user: admin.users[0]?.user ?? {} }],
    },
    { lineWidth: 0, indentSeq: false },
  )
}
