import { z } from 'zod'
import { kindOf, type VolumeSource, type VolumeTestimony } from './volume-source.ts'

/** What a run was told of the volumes by every source, as its journal keeps it: evidence that is left when they are gone. */
export const heardOfVolumes = z.strictObject({
  testimonies: z.array(
    z.strictObject({
      source: z.string(),
      claim: z.string(),
      lun: z.string(),
      volume: z.string().optional(),
      driver: z.string().optional(),
      protocol: z.enum(['iscsi', 'nfs', 'smb']).optional(),
      fsType: z.string().optional(),
      sizeBytes: z.number().optional(),
      usedBytes: z.number().optional(),
      storageClass: z.string().optional(),
      owner: z.string().optional(),
      namespace: z.string().optional(),
      deleted: z.boolean().optional(),
      where: z.string().optional(),
      repeats: z.string().optional(),
    }),
  ),
  /** Everything that the NAS listed, also what is nobody's volume. */
  nas: z.array(
    z.strictObject({ uuid: z.string(), name: z.string(), sizeBytes: z.number(), description: z.string() }),
  ),
})

/** A disk that a run bound a claim to. */
export interface BoundByRun {
  claim: string
  pv: string
  handle: string
}

/**
 * A former run as a source. What it was told it only repeats, so that it is no second witness beside the very source that
 * told it; what it bound itself it saw, and that outdates what it was told of that claim.
 */
export function readFormerRun(
  name: string,
  heard: z.infer<typeof heardOfVolumes>,
  bound: readonly BoundByRun[],
): VolumeSource {
  const now = new Map(bound.map(b => [b.claim, b]))
  const told = heard.testimonies.map(({ source, repeats, ...said }) => {
    const left = now.get(said.claim)
    return {
      ...withoutHoles(said),
      source: name,
      repeats: repeats ?? kindOf(source),
      ...(left !== undefined && left.handle !== said.lun ? { deleted: true } : {}),
    }
  })
  const seen = bound.map(({ claim, pv, handle }) => ({ source: name, claim, lun: handle, volume: pv }))
  return { name, testimonies: [...told, ...seen], remarks: [] }
}

function withoutHoles(said: object): VolumeTestimony {
  return Object.fromEntries(
    Object.entries(said).filter(([, value]) => value !== undefined),
  ) as unknown as VolumeTestimony
}
