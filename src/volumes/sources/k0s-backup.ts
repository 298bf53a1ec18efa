import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { extract } from 'tar'
import { damaged } from '../datastore/database-damaged.ts'
import { openEtcd } from '../datastore/etcd.ts'
import { openKine } from '../datastore/kine.ts'
import { readDatastore } from './datastore-source.ts'
import type { VolumeSource } from './volume-source.ts'

// What `k0s backup` calls its copy of the datastore.
const databases = { 'kine-state-backup.db': openKine, 'etcd-snapshot.db': openEtcd }

/**
 * A `k0s backup` archive (tar.gz), of which only the datastore is taken out: the keys of the old cluster beside it are left
 * where they are. Throws Fault `database-damaged` when it holds none.
 */
export async function readK0sBackup(name: string, file: string): Promise<VolumeSource> {
  const folder = mkdtempSync(join(tmpdir(), 'recover-backup-'))
  try {
    const found: string[] = []
    await extract({
      file,
      cwd: folder,
      strict: true,
      filter(path, entry) {
        const wanted = basename(path) in databases && 'type' in entry && entry.type === 'File'
        if (wanted) found.push(path)
        return wanted
      },
    }).catch((cause: Error) => {
      throw damaged(file, cause.message)
    })
    const [path] = found
    if (path === undefined) throw damaged(file, `it holds neither ${Object.keys(databases).join(' nor ')}`)
    const open = databases[basename(path) as keyof typeof databases]
    return readDatastore(name, open(join(folder, path)))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
