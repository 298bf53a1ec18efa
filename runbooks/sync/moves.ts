import { z } from 'zod'
import { deliverers } from '../../src/gitops/delivery.ts'
import { mappedVolume } from '../../src/volumes/map.ts'
import { type CsiDisk, shortId } from '../../src/volumes/objects.ts'

/** A claim of a living cluster that gets another disk, with everything that must be known once it is gone. */
export const move = mappedVolume.extend({
  lun: mappedVolume.shape.lun.unwrap(),
  /** UID of the claim that leads to the old disk. */
  claimUid: z.string(),
  /** PersistentVolume that leads there. */
  pv: z.string(),
  accessModes: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  /** How the CSI driver mounts the old disk. */
  driver: z.string(),
  fsType: z.string(),
  attributes: z.record(z.string(), z.string()),
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

/** The old disk, or a clone of it, as the CSI driver must be told of it. */
export function diskLike(
  { driver, fsType, attributes }: Move,
  lun: { uuid: string; sizeBytes: number },
): CsiDisk {
  return { driver, handle: lun.uuid, fsType, sizeBytes: lun.sizeBytes, attributes }
}

/** The claim under which the new disk is filled and proven, before it takes the place of the old one. */
export function standInOf({ claim }: Pick<Move, 'claim'>, run: { id: string }): string {
  const [namespace = ''] = claim.split('/')
  return `${namespace}/recover-new-${shortId(claim)}-${run.id.slice(-4)}`
}
