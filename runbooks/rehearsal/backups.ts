import { createHash } from 'node:crypto'
import type { Cluster } from '../../src/cluster/load.ts'
import type { ResticSnapshot } from '../../src/volumes/restic.ts'

/** The one snapshot that a rehearsal's repository has of a claim: it fits whatever recover.yaml asks for. */
export function madeUpBackup(cluster: Cluster, claim: string): ResticSnapshot {
  const { path = '/', host = 'home', tags = [], snapshot = '' } = cluster.entry.backups?.[claim] ?? {}
  const made = createHash('sha256').update(`${cluster.entry.cluster} backup of ${claim}`).digest('hex')
  return {
    id: `${snapshot}${made}`.slice(0, 64),
    time: '2026-01-02T03:04:05Z',
    hostname: host,
    paths: [path],
    tags,
  }
}
