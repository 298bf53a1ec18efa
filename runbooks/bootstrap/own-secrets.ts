import { type OwnSecret, ownSecrets } from '../../src/secrets/connect-manifests.ts'
import type { Readers } from '../kit.ts'

/** The Secrets that the manifests of 1Password want; none where the bootstrap has no 1Password. */
export async function ownSecretsOf({
  cluster,
  manifests,
  signal,
}: Pick<Readers, 'cluster' | 'manifests'> & { signal: AbortSignal }): Promise<OwnSecret[]> {
  if (cluster.onePassword === undefined) return []
  const all = await Promise.all(cluster.bootstrap.map(part => manifests(part.name, signal)))
  return ownSecrets(all.flat())
}
