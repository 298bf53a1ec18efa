import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { k0sArchive } from '../volumes/k0s-archive.ts'

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
