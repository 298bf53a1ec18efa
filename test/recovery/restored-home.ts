import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { connectBy } from '../lab/kubernetes/cluster.ts'
import { databaseWithShare, k0sArchive } from '../volumes/k0s-archive.ts'
import { journalPath } from './home.ts'
import { uuid as share, withPhotosOnNfs } from './nfs-home.ts'

/** Workloads of the example that keep data: path of each in the API. */
export const owners = [
  'grafana/deployments/grafana',
  'miniflux/statefulsets/postgres',
  'photos/deployments/photos',
  'scratch/deployments/scratch',
]

/** The same, with its photos on a share of NFS that only the archive and the person know: made by the CSI driver, not by Git. */
export async function restoreWithShareFrom(home: { file: string }): Promise<void> {
  withPhotosOnNfs(home)
  await restoreFrom(home.file, { database: databaseWithShare() })
  const settled = readFileSync(home.file, 'utf8').replace(
    /photos\/library: 0{8}-\S+/,
    `photos/library: ${share}`,
  )
  writeFileSync(home.file, settled)
}

/** Has a home's control plane restored from an archive beside recover.yaml, and all of its volumes adopted. */
export async function restoreFrom(
  file: string,
  archive: { without?: string; config?: string; database?: Buffer } = {},
): Promise<void> {
  const luns = ['grafana/data', 'miniflux/data-postgres-0', 'photos/library', 'scratch/cache'].map(
    (claim, i) => `  ${claim}: 00000000-0000-4000-8000-00000000000${i}\n`,
  )
  writeFileSync(
    file,
    readFileSync(file, 'utf8')
      .replace('  grafana/data: copy\n  scratch/cache: new\n', '')
      .concat(`luns:\n${luns.join('')}restore: { k0s: ./k0s_backup.tar.gz }\n`),
  )
  await k0sArchive(join(file, '..', 'k0s_backup.tar.gz'), archive)
}

/** What a person does about workloads that keep data and are there too early. */
export async function scaleToNothing(paths: string[]): Promise<void> {
  if (paths.length === 0) return
  const { ask, close } = connectBy(join(dirname(journalPath()), 'kubeconfig'))
  for (const path of paths) {
    const [namespace = '', ...workload] = path.split('/')
    const place = `/apis/apps/v1/namespaces/${namespace}/${workload.join('/')}`
    const { status } = await ask('PATCH', place, { spec: { replicas: 0 } }, 'application/merge-patch+json')
    expect(status, path).toBe(200)
  }
  await close()
}
