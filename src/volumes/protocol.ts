/** How the CSI driver reaches a volume: a LUN by iSCSI, a shared folder by NFS or SMB. */
export type Protocol = 'iscsi' | 'nfs' | 'smb'

/** The protocol that a volume's attributes or a class's parameters name; undefined where they name none that is known. */
export function protocolOf(named: Readonly<Record<string, string>> | undefined): Protocol | undefined {
  const protocol = named?.protocol?.toLowerCase()
  return protocol === 'iscsi' || protocol === 'nfs' || protocol === 'smb' ? protocol : undefined
}

/** Whether a volume that is reached so is a shared folder, and no LUN. */
export function isShare(protocol: Protocol | undefined): boolean {
  return protocol === 'nfs' || protocol === 'smb'
}
