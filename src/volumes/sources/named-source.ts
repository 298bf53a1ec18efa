import { openEtcd } from '../datastore/etcd.ts'
import { openKine } from '../datastore/kine.ts'
import { readDatastore } from './datastore-source.ts'
import { readIscsiRecords } from './iscsi-records.ts'
import { readK0sBackup } from './k0s-backup.ts'
import { readKubelet } from './kubelet.ts'
import type { VolumeSource } from './volume-source.ts'

/** Sources that are files and folders, and what each is. */
export const sourceKinds = {
  kine: 'kine’s state.db (with its -wal beside it), copied from a controller',
  etcd: 'etcd’s data directory, its member/snap/db, or a snapshot',
  backup: 'an archive of `k0s backup`',
  kubelet: 'a node’s kubelet directory',
  iscsi: 'a node’s /etc/iscsi or /var/lib/iscsi',
} as const

/** Reads a source that lies in files. Throws Fault `database-damaged`. */
export async function readSource(
  kind: keyof typeof sourceKinds,
  named: string,
  path: string,
): Promise<VolumeSource> {
  switch (kind) {
    case 'kine':
      return readDatastore(named, openKine(path))
    case 'etcd':
      return readDatastore(named, openEtcd(path))
    case 'backup':
      return readK0sBackup(named, path)
    case 'kubelet':
      return readKubelet(named, path)
    case 'iscsi':
      return readIscsiRecords(named, path)
  }
}
