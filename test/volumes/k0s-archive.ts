import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { create } from 'tar'
import { scratch } from '../runbook/harness.ts'

/** Identity of the cluster in the fixture. */
export const archivedUid = 'c7247e3f-f416-4802-b696-5cbaf0f80ce4'

const database = new URL('./datastore/fixtures/kine-state-backup.db.gz', import.meta.url)
const withShare = new URL('./datastore/fixtures/kine-with-share.db.gz', import.meta.url)

/** The datastore of that cluster, with its photos on the share of `../recovery/nfs-home.ts`. */
export function databaseWithShare(): Buffer {
  return gunzipSync(readFileSync(withShare))
}

/** An archive as `k0s backup` packs it, of a cluster of lithium, hydrogen and helium with four volumes. */
export async function k0sArchive(
  to: string,
  change: { without?: string; config?: string; database?: Buffer } = {},
): Promise<string> {
  const folder = scratch('k0s-archive')
  const {
    config = 'spec:\n  api: { address: 192.0.2.11, sans: [192.0.2.11] }\n  storage: { type: kine }\n',
  } = change
  const files: Record<string, string | Buffer> = {
    'kine-state-backup.db': change.database ?? gunzipSync(readFileSync(database)),
    'pki/ca.crt': 'the certificate of the old cluster’s authority',
    'pki/ca.key': 'its key',
    'manifests/helm/manifest.yaml': '---\n',
    'k0s.yaml': config,
  }
  const packed = Object.entries(files).filter(([path]) => path !== change.without)
  for (const [path, content] of packed) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  await create(
    { file: to, gzip: true, cwd: folder },
    packed.map(([path]) => path),
  )
  return to
}
