import type { Protocol } from './protocol.ts'
import { kindOf, person, type VolumeSource, type VolumeTestimony } from './sources/volume-source.ts'

/** What the sources come to for one claim. Only what is settled may ever be written to. */
export type Verdict =
  /** The person said so, two sources agree, or Git names a LUN that the NAS has. */
  | 'settled'
  /** Sources name different LUNs, or one LUN for two claims, or one that is not there. */
  | 'contradiction'
  /** A single source says so. */
  | 'one-source'
  /** No source names a LUN that the claim still has. */
  | 'no-lun'
  /** No source knows whose the volume is. */
  | 'no-claim'

/** One claim, or one volume that no claim is known of, with everything that every source says of it. */
export interface ListedVolume {
  /** `namespace/name`; absent where only a volume is known. */
  claim?: string
  volume?: string
  /** LUNs that sources name, most agreed on first. */
  luns: NamedLun[]
  /** LUNs that it had, by what was deleted since: no reason to take them, and where to look for lost data. */
  formerly: { lun: string; source: string; where?: string }[]
  verdict: Verdict
  /** For a contradiction, what speaks against what; for a single source, what is missing. One sentence each. */
  doubts: string[]
  driver?: string
  /** How it is reached: tells a shared folder (nfs, smb) from a LUN. */
  protocol?: Protocol
  sizeBytes?: number
  usedBytes?: number
  storageClass?: string
  owner?: string
}

export interface NamedLun {
  lun: string
  sources: string[]
}

/** LUNs and shares that the NAS has; undefined where it was not asked. */
export type OnNas = ReadonlySet<string> | undefined

/**
 * Everything that the sources say, by claim, and what it comes to. A source that only knows the PersistentVolume (a
 * kubelet, the name of a LUN) counts for the claim that another source says it belongs to. What one source says was
 * deleted does not contradict what lives in another. Nothing is guessed: a contradiction stays one until the person says
 * which is right.
 */
export function listVolumes(sources: readonly VolumeSource[], onNas?: OnNas): ListedVolume[] {
  const all = sources.flatMap(s => s.testimonies)
  const living = all.filter(t => !t.deleted)
  const claimOf = new Map(
    living.filter(t => t.claim !== '' && t.volume !== undefined).map(t => [t.volume, t.claim]),
  )
  // A share's name is cut off: that it is there is all that the NAS knows of it.
  const claimOfHandle = new Map(living.filter(t => t.claim !== '').map(t => [t.lun, t.claim]))
  const groups = new Map<string, VolumeTestimony[]>()
  for (const testimony of all) {
    const { volume, lun } = testimony
    const claim =
      testimony.claim || (volume === undefined ? claimOfHandle.get(lun) : claimOf.get(volume)) || ''
    const key = claim ? `claim ${claim}` : `volume ${volume ?? lun}`
    const group = groups.get(key)
    if (group) group.push(testimony)
    else groups.set(key, [testimony])
  }
  const owners = ownersOf(living)
  return [...groups].map(([key, group]) => listed(key, group, owners, onNas)).sort(byName)
}

/** Who claims each LUN: claims by name, and the sources that say so. Where the person spoke, only they are heard. */
function ownersOf(living: VolumeTestimony[]): Map<string, { claim: string; source: string }[]> {
  const settled = new Set(living.filter(t => t.source === person).map(t => t.claim))
  const owners = new Map<string, { claim: string; source: string }[]>()
  for (const { claim, source, lun } of living) {
    if (claim === '' || (source !== person && settled.has(claim))) continue
    const others = owners.get(lun)
    if (others) others.push({ claim, source })
    else owners.set(lun, [{ claim, source }])
  }
  return owners
}

function listed(
  key: string,
  testimonies: VolumeTestimony[],
  owners: Map<string, { claim: string; source: string }[]>,
  onNas: OnNas,
): ListedVolume {
  const claim = key.startsWith('claim ') ? key.slice('claim '.length) : undefined
  const living = testimonies.filter(t => !t.deleted)
  const settled = living.filter(t => t.source === person)
  // Who only knows that a share is there, names none.
  const heard = (settled.length > 0 ? living.filter(t => t.lun === settled[0]?.lun) : living).filter(
    t => t.claim !== '' || t.volume !== undefined,
  )
  const luns = [...new Set(heard.map(t => t.lun))]
    .map(lun => ({ lun, sources: [...new Set(heard.filter(t => t.lun === lun).map(t => t.source))] }))
    .sort((a, b) => b.sources.length - a.sources.length)
  const formerly = testimonies
    .filter(t => t.deleted && !luns.some(l => l.lun === t.lun))
    .map(({ lun, source, where }) => ({ lun, source, ...(where === undefined ? {} : { where }) }))
  return {
    ...(claim === undefined ? {} : { claim }),
    luns,
    formerly,
    ...judged(claim, heard, luns, owners, onNas, kindsOf(living, luns)),
    ...saidFirst(living.length > 0 ? living : testimonies),
  }
}

const properties = [
  'volume',
  'driver',
  'protocol',
  'sizeBytes',
  'usedBytes',
  'storageClass',
  'owner',
] as const

/** What else is known of a volume, each by the first that knows it. */
function saidFirst(testimonies: VolumeTestimony[]): Pick<ListedVolume, (typeof properties)[number]> {
  const said: Record<string, unknown> = {}
  for (const property of properties)
    for (const testimony of testimonies) {
      if (testimony[property] === undefined) continue
      said[property] = testimony[property]
      break
    }
  return said
}

function judged(
  claim: string | undefined,
  heard: VolumeTestimony[],
  luns: NamedLun[],
  owners: Map<string, { claim: string; source: string }[]>,
  onNas: OnNas,
  kinds: string[],
): Pick<ListedVolume, 'verdict' | 'doubts'> {
  if (claim === undefined) return { verdict: 'no-claim', doubts: [] }
  const [first] = luns
  if (first === undefined) return { verdict: 'no-lun', doubts: [] }
  // What the person has settled is weighed against nothing but what is there.
  const settled = heard.some(t => t.source === person)
  const doubts = [
    ...kinds,
    ...(luns.length > 1
      ? [luns.map(l => `${l.lun} according to ${l.sources.join(' and ')}`).join(', and ')]
      : []),
    ...(settled ? [] : luns.flatMap(({ lun }) => twoOwners(claim, lun, owners))),
    ...luns.flatMap(({ lun, sources }) =>
      onNas !== undefined && !onNas.has(lun)
        ? [`${lun} according to ${sources.join(' and ')}, and the NAS has none of that uuid`]
        : [],
    ),
    ...heard.flatMap(({ namespace, source, lun }) =>
      !settled && namespace !== undefined && !claim.startsWith(`${namespace}/`)
        ? [`${source} saw ${lun} mounted in the namespace ${namespace}`]
        : [],
    ),
  ]
  if (doubts.length > 0) return { verdict: 'contradiction', doubts }
  return witnesses(heard, onNas?.has(first.lun) ?? false)
    ? { verdict: 'settled', doubts }
    : { verdict: 'one-source', doubts: [`only ${first.sources.join(' and ')} says that it is ${first.lun}`] }
}

/** One uuid that some call a LUN and others a share: the CSI driver would look for it in the wrong list, and find nothing. */
function kindsOf(living: VolumeTestimony[], luns: NamedLun[]): string[] {
  if (!living.some(t => t.protocol === 'iscsi')) return []
  return luns.flatMap(({ lun }) => {
    const said = living.filter(t => t.lun === lun && t.protocol !== undefined)
    const as = (share: boolean) => [
      ...new Set(said.filter(t => (t.protocol !== 'iscsi') === share).map(t => t.source)),
    ]
    const [lunBy, shareBy] = [as(false), as(true)]
    return lunBy.length > 0 && shareBy.length > 0
      ? [
          `${lun} is a LUN according to ${lunBy.join(' and ')}, and a share according to ${shareBy.join(' and ')}`,
        ]
      : []
  })
}

function twoOwners(
  claim: string,
  lun: string,
  owners: Map<string, { claim: string; source: string }[]>,
): string[] {
  const others = (owners.get(lun) ?? []).filter(o => o.claim !== claim)
  const says = [...new Set(others.map(o => o.claim))].map(
    other =>
      `${other} according to ${[...new Set(others.filter(o => o.claim === other).map(o => o.source))].join(' and ')}`,
  )
  return says.length === 0 ? [] : [`${lun} is said to be of ${says.join(', and of ')}, too`]
}

/** Whether what was heard, all of it of one LUN, is enough. */
function witnesses(heard: VolumeTestimony[], thereOnNas: boolean): boolean {
  const kinds = new Set(heard.map(t => kindOf(t.source)))
  if (kinds.has(person)) return true
  if (kinds.has('git') && thereOnNas) return true
  const independent = new Set(
    heard.filter(t => t.repeats === undefined || !kinds.has(t.repeats)).map(t => kindOf(t.source)),
  )
  // That a node had a volume does not say whose it is: at least one must know the claim itself.
  return independent.size > 1 && heard.some(t => t.claim !== '')
}

/** Claims by name, then volumes that no claim is known of. */
export function byName(a: ListedVolume, b: ListedVolume): number {
  if ((a.claim === undefined) !== (b.claim === undefined)) return a.claim === undefined ? 1 : -1
  return (a.claim ?? a.volume ?? '').localeCompare(b.claim ?? b.volume ?? '')
}
