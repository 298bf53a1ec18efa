import type { KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import type { Share } from '../../src/nas/nas.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { foreignWriters } from '../../src/volumes/fence.ts'

/**
 * Nodes to which a volume is attached. Kubernetes detaches one when its kubelet has unmounted it: that is what stands for the
 * sessions of a LUN, since no NAS tells who has a share mounted.
 */
export async function attachedTo(pv: string, kubernetes: KubernetesReader): Promise<string[]> {
  const all = await kubernetes.list({ apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttachment' })
  return all.flatMap(({ spec }) => {
    const { source, nodeName } = spec as { source?: { persistentVolumeName?: string }; nodeName?: string }
    return source?.persistentVolumeName === pv ? [nodeName ?? ''] : []
  })
}

/** Clients that a share's NFS rules let read or write. */
export function letIn({ clients }: Pick<Share, 'clients'>): string[] {
  return clients.filter(c => c.may !== 'nothing').map(c => c.client)
}

/**
 * What somebody outside the cluster writes to a share nobody here can stop, nor wait for: its rules say who that may be, and
 * nothing says who has it mounted. Throws Fault `share-open-to-others`.
 */
export function mustBeOnlyNodes(
  claim: string,
  share: Pick<Share, 'name' | 'clients'>,
  nodes: readonly string[],
): void {
  const foreign = foreignWriters(share, nodes)
  if (foreign.length === 0) return
  throw new Fault({
    code: 'share-open-to-others',
    blame: 'host',
    message: `by the NFS rules of ${share.name}, ${foreign.join(', ')} may write to the share of ${claim} and is no node of this cluster: what it writes while the share is copied would be missing`,
    remedy:
      'Unmount it there, take that client out of the share’s NFS permissions (Control Panel, Shared Folder), and run it again',
  })
}
