import { z } from 'zod'

/** Where a claim's data is, and how sure that is. */
export const mappedVolume = z.strictObject({
  /** `namespace/name`. */
  claim: z.string(),
  strategy: z.enum(['adopt', 'clone', 'copy', 'new']),
  sizeBytes: z.number(),
  storageClass: z.string(),
  /** The disk that holds its data; absent for a new one. */
  lun: z
    .strictObject({ uuid: z.string(), name: z.string(), sizeBytes: z.number(), target: z.number() })
    .optional(),
  /** Sources that agree on it: `git`, `nas`; `recover.yaml` where the person has settled it. */
  sources: z.array(z.string()),
})

export type MappedVolume = z.infer<typeof mappedVolume>

/** A claim as some source wants it. */
export interface WantedClaim {
  id: string
  sizeBytes: number
  storageClass: string | undefined
  strategy: MappedVolume['strategy']
}

/** What one source says: this claim's data is on that LUN. */
export interface Testimony {
  source: string
  claim: string
  lun: string
}

export interface KnownLun {
  uuid: string
  name: string
  sizeBytes: number
  /** Targets that it is mapped to. */
  targets: number[]
}

/** The map, and everything about it that a person must hear before anything is written. */
export interface VolumeMap {
  volumes: MappedVolume[]
  /** Claims whose sources name different disks. */
  contradictions: { claim: string; says: { source: string; lun: string }[] }[]
  /** Claims that need their data and for which no source names a disk. */
  homeless: string[]
  /** LUNs that no claim owns. */
  ownerless: { uuid: string; name: string }[]
}

/** The source that outweighs all others: what the person wrote down for this very recovery. */
export const person = 'recover.yaml'

/**
 * Puts the sources together. Nothing is guessed: a contradiction stays one until the {@link person} says which is right,
 * and two disks that claim to be the same volume's are never chosen between.
 */
export function mapVolumes(claims: WantedClaim[], testimonies: Testimony[], luns: KnownLun[]): VolumeMap {
  const map: VolumeMap = { volumes: [], contradictions: [], homeless: [], ownerless: [] }
  const owned = new Set<string>()
  for (const claim of claims) {
    const heard = testimonies.filter(t => t.claim === claim.id && luns.some(l => l.uuid === t.lun))
    const settled = heard.find(t => t.source === person)
    const about = settled ? heard.filter(t => t.lun === settled.lun) : heard
    for (const t of about) owned.add(t.lun)
    const named = new Set(about.map(t => t.lun))
    const common = {
      claim: claim.id,
      strategy: claim.strategy,
      sizeBytes: claim.sizeBytes,
      storageClass: claim.storageClass ?? '',
    }
    if (claim.strategy === 'new') {
      map.volumes.push({ ...common, sources: [] })
      continue
    }
    const [uuid] = named
    const lun = luns.find(l => l.uuid === uuid)
    if (named.size > 1)
      map.contradictions.push({ claim: claim.id, says: about.map(t => ({ source: t.source, lun: t.lun })) })
    else if (!lun) map.homeless.push(claim.id)
    else
      map.volumes.push({
        ...common,
        lun: { uuid: lun.uuid, name: lun.name, sizeBytes: lun.sizeBytes, target: lun.targets[0] ?? 0 },
        sources: [...new Set(about.map(t => t.source))].sort(),
      })
  }
  map.ownerless = luns
    .filter(l => !owned.has(l.uuid) && !l.name.startsWith('k8s-csi-recover-'))
    .map(({ uuid, name }) => ({ uuid, name }))
  return map
}
