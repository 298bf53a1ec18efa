import { z } from 'zod'
import type { Cluster } from '../../src/cluster/load.ts'
import { fanOut } from '../kit.ts'

/** The archive of `k0s backup` that the control plane is restored from: one, or none where it begins empty. */
export const eachArchive = fanOut({
  name: 'archive',
  schema: z.strictObject({ file: z.string() }),
  key: archive => archive.file,
  subjects: ({ cluster }) => (cluster.restore ? [{ file: cluster.restore.named }] : []),
})

/** Where it is; named as recover.yaml names it when the run begins. */
export function fileOf(archive: { file: string }, cluster: Cluster): string {
  return cluster.resolve(archive.file)
}
