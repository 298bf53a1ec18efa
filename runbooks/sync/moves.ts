import { z } from 'zod'
import { deliverers } from '../../src/gitops/delivery.ts'
import { diskHolding, mappedVolume } from '../../src/volumes/map.ts'
import { type CsiDisk, shortId } from '../../src/volumes/objects.ts'
import { shareAttributes } from '../../src/volumes/static-volume.ts'
import type { NasDisk } from '../volumes/disk.ts'

/** A claim of a living cluster that gets another disk, with everything that must be known once it is gone. */
export const move = mappedVolume.extend({
  /** UID of the claim that leads to the old disk. */
  claimUid: z.string(),
  /** PersistentVolume that leads there. */
  pv: z.string(),
  accessModes: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  /** How the CSI driver mounts the old disk. */
  driver: z.string(),
  /** Absent for a share. */
  fsType: z.string().optional(),
  attributes: z.record(z.string(), z.string()),
  mountOptions: z.array(z.string()),
  /** Key of the group of owners that is stopped for it. */
  group: z.string(),
})
export type Move = z.infer<typeof move>

/** Who brings a workload from Git: an Application of Argo CD's or a Kustomization of Flux's. */
export const bringer = z.strictObject({ name: z.string(), namespace: z.string(), by: z.enum(deliverers) })
export type Bringer = z.infer<typeof bringer>

/** What is stopped together, since it shares claims. */
export const owners = z.strictObject({
  key: z.string(),
  claims: z.array(z.string()),
  workloads: z.array(
    z.strictObject({
      kind: z.enum(['Deployment', 'StatefulSet', 'CronJob']),
      namespace: z.string(),
      name: z.string(),
    }),
  ),
  applications: z.array(bringer),
})
export type Owners = z.infer<typeof owners>

/** The LUN or share that a claim is to leave. */
export function oldDisk(volume: Move): { uuid: string; name: string } {
  const disk = diskHolding(volume)
  if (!disk) throw new Error(`${volume.claim} is to be moved and has no disk`)
  return disk
}

/** The old disk, or a clone of it, as the CSI driver must be told of it. A share it mounts by what the attributes name. */
export function diskLike(
  { driver, fsType, attributes, mountOptions, sizeBytes, share }: Move,
  disk: NasDisk,
): CsiDisk {
  const common = { driver, handle: disk.uuid, mountOptions }
  if (!share) return { ...common, ...(fsType ? { fsType } : {}), sizeBytes: disk.sizeBytes, attributes }
  const { dsm = '', mountPermissions = '' } = attributes
  return {
    ...common,
    // One without a quota has room for whatever the claim asks for.
    sizeBytes: disk.sizeBytes || sizeBytes,
    attributes: shareAttributes(
      { name: disk.name, location: disk.location ?? share.location },
      { dsm, mountPermissions },
    ),
  }
}

/** The claim under which the new disk is filled and proven, before it takes the place of the old one. */
export function standInOf({ claim }: Pick<Move, 'claim'>, run: { id: string }): string {
  const [namespace = ''] = claim.split('/')
  return `${namespace}/recover-new-${shortId(claim)}-${run.id.slice(-4)}`
}
