import { existsSync } from 'node:fs'
import { Fault } from '../../runbook/fault.ts'
import { openEtcd } from '../datastore/etcd.ts'
import { openKine } from '../datastore/kine.ts'
import { readDatastore } from './datastore-source.ts'
import { readK0sBackup } from './k0s-backup.ts'
import { readKubelet } from './kubelet.ts'
import type { VolumeSource } from './volume-source.ts'

/** Sources that a person can name by a path, and what the path is. */
export const sourceKinds = {
  kine: 'kine’s state.db (with its -wal beside it), copied from a controller',
  etcd: 'etcd’s data directory, its member/snap/db, or a snapshot',
  backup: 'an archive of `k0s backup`',
  kubelet: 'a node’s kubelet directory',
} as const

/** Reads `KIND:PATH`. Throws Fault `source-unknown`, `source-missing`, `database-damaged`. */
export async function readSource(named: string): Promise<VolumeSource> {
  const [kind = ''] = named.split(':')
  const path = named.slice(kind.length + 1)
  if (!(kind in sourceKinds) || path === '')
    throw new Fault({
      code: 'source-unknown',
      blame: 'operator',
      message: `${named} names no source of the volume map`,
      remedy: `Write KIND:PATH, where KIND is ${Object.entries(sourceKinds)
        .map(([name, what]) => `${name} (${what})`)
        .join(', ')}`,
    })
  if (!existsSync(path))
    throw new Fault({
      code: 'source-missing',
      blame: 'operator',
      message: `there is nothing at ${path}, which --from ${named} names`,
      remedy: 'Copy it from the machine first, or correct the path',
    })
  switch (kind as keyof typeof sourceKinds) {
    case 'kine':
      return readDatastore(named, openKine(path))
    case 'etcd':
      return readDatastore(named, openEtcd(path))
    case 'backup':
      return readK0sBackup(named, path)
    case 'kubelet':
      return readKubelet(named, path)
  }
}
