import { Fault } from '../../runbook/fault.ts'
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

/** Reads a source that lies in files. Throws Faults `database-damaged` and `source-unreadable`. */
export async function readSource(
  kind: keyof typeof sourceKinds,
  named: string,
  path: string,
): Promise<VolumeSource> {
  try {
    return await readers[kind](named, path)
  } catch (thrown) {
    // What a file system says, not what a file's content does.
    if (thrown instanceof Fault || (thrown as NodeJS.ErrnoException).syscall === undefined) throw thrown
    throw new Fault({
      code: 'source-unreadable',
      blame: 'operator',
      message: `${named} cannot be read: ${(thrown as Error).message}`,
      remedy: `It should be ${sourceKinds[kind]}; correct the path, copy it again (a disk that fails: with ddrescue first), or name another source`,
      cause: thrown,
    })
  }
}

const readers: Record<
  keyof typeof sourceKinds,
  (named: string, path: string) => VolumeSource | Promise<VolumeSource>
> = {
  kine: (named, path) => readDatastore(named, openKine(path)),
  etcd: (named, path) => readDatastore(named, openEtcd(path)),
  backup: readK0sBackup,
  kubelet: readKubelet,
  iscsi: readIscsiRecords,
}
