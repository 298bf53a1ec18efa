import type { VolumeSource, VolumeTestimony } from './sources/volume-source.ts'

/** One claim, or one volume that no claim is known of, with everything that every source says of it. */
export interface ListedVolume {
  /** `namespace/name`; absent where only a volume is known. */
  claim?: string
  volume?: string
  /** LUNs that sources name, most agreed on first. More than one is a contradiction. */
  luns: { lun: string; sources: string[] }[]
  contradiction: boolean
  /** Sources by which it was deleted. */
  deletedIn: string[]
  sizeBytes?: number
  storageClass?: string
  owner?: string
}

/**
 * Everything that the sources say, by claim. A source that only knows the PersistentVolume (a kubelet) counts for the claim
 * that another source says it belongs to. What one source says was deleted does not contradict what lives in another.
 */
export function listVolumes(sources: readonly VolumeSource[]): ListedVolume[] {
  const all = sources.flatMap(s => s.testimonies)
  const claimOf = new Map(
    all.filter(t => t.claim !== '' && t.volume !== undefined && !t.deleted).map(t => [t.volume, t.claim]),
  )
  const groups = new Map<string, VolumeTestimony[]>()
  for (const testimony of all) {
    const claim = testimony.claim || claimOf.get(testimony.volume)
    const key = claim ? `claim ${claim}` : `volume ${testimony.volume ?? testimony.lun}`
    groups.set(key, [...(groups.get(key) ?? []), { ...testimony, claim: claim ?? '' }])
  }
  return [...groups.values()].map(listed).sort(byName)
}

function listed(testimonies: VolumeTestimony[]): ListedVolume {
  const living = testimonies.filter(t => !t.deleted)
  const counted = living.length > 0 ? living : testimonies
  const luns = [...new Set(counted.map(t => t.lun))]
    .map(lun => ({
      lun,
      sources: [...new Set(counted.filter(t => t.lun === lun).map(t => t.source))],
    }))
    .sort((a, b) => b.sources.length - a.sources.length)
  const known = <K extends keyof VolumeTestimony>(key: K) => counted.find(t => t[key] !== undefined)?.[key]
  const [first] = counted
  const { sizeBytes, storageClass, owner, volume } = {
    sizeBytes: known('sizeBytes'),
    storageClass: known('storageClass'),
    owner: known('owner'),
    volume: known('volume'),
  }
  return {
    ...(first?.claim ? { claim: first.claim } : {}),
    ...(volume === undefined ? {} : { volume }),
    luns,
    contradiction: luns.length > 1,
    deletedIn: [...new Set(testimonies.filter(t => t.deleted).map(t => t.source))],
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(owner === undefined ? {} : { owner }),
  }
}

/** Claims by name, then volumes that no claim is known of. */
export function byName(a: ListedVolume, b: ListedVolume): number {
  if ((a.claim === undefined) !== (b.claim === undefined)) return a.claim === undefined ? 1 : -1
  return (a.claim ?? a.volume ?? '').localeCompare(b.claim ?? b.volume ?? '')
}
