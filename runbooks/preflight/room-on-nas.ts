import type { Cluster } from '../../src/cluster/load.ts'
import type { Strategy } from '../../src/cluster/schema.ts'
import { statedClass, statedVolume } from '../../src/cluster/stated.ts'
import { cloneName, type NasDescription, type NasReader } from '../../src/nas/nas.ts'
import { isShare, protocolOf } from '../../src/volumes/protocol.ts'

/** How many volumes are measured at once, each by a clone that goes again: as many as the NAS is asked things at once. */
const measuredAtOnce = 4

/** How many there are, how many a run still makes, and how many the NAS takes (0 where it does not say). */
export interface Room {
  used: number
  wanted: number
  most: number
}

/** What one claim has a run make: a LUN for good, and a clone that is measured and goes again. */
export interface Making {
  lasting: boolean
  passing: boolean
}

/** LUNs and targets, and what there is too little of. */
export interface RoomOnNas {
  luns: Room
  targets: Room
  lacks: string[]
}

/** The same as a sentence. */
export function tooLittleRoom({ lacks }: RoomOnNas): string {
  return `this NAS has too little room for what the run makes on it: ${lacks.join('; ')}`
}

/**
 * What a recovery makes on the NAS beside what is there, against what this model takes: for each claim that gets a new
 * disk one LUN with a target for good, and one of each for every clone that is measured at that moment. What the run
 * has made already under names of its own counts as made.
 */
export async function roomOnNas(
  nas: NasReader,
  limits: NasDescription['limits'],
  { inventory, entry, strategy }: Pick<Cluster, 'inventory' | 'entry' | 'strategy'>,
  run: string,
): Promise<RoomOnNas> {
  const shares = new Set((await nas.shares()).map(s => s.uuid))
  const made = inventory.claims.map(claim => lunsFor(claim, strategy(claim.id), { inventory, entry }, shares))
  return roomFor(nas, limits, made, run)
}

/**
 * Whether the NAS takes what is made for some claims. A clone shares its blocks with its original and needs next to no space,
 * and takes a LUN's and a target's place all the same, which is what models have few of.
 */
export async function roomFor(
  nas: NasReader,
  limits: NasDescription['limits'],
  made: readonly Making[],
  run: string,
): Promise<RoomOnNas> {
  const [luns, targets] = [await nas.luns(), await nas.targets()]
  const lasting = made.filter(m => m.lasting).length
  const passing = Math.min(measuredAtOnce, made.filter(m => m.passing).length)
  const own = luns.filter(l => l.name.startsWith(cloneName(run, '')) || l.name.endsWith(`-${run}`)).length
  const wanted = Math.max(0, lasting + passing - own)
  const rooms = {
    luns: { used: luns.length, wanted, most: limits.luns },
    targets: { used: targets.length, wanted, most: limits.targets },
  }
  const short = Object.entries(rooms).filter(([, r]) => r.most > 0 && r.most - r.used < r.wanted)
  return {
    ...rooms,
    lacks: short.map(
      ([what, { used, most }]) =>
        `${used} of ${most} ${what === 'luns' ? 'LUNs' : what} are in use, and up to ${wanted} more are made (${lasting} for good, ${passing} for a while)`,
    ),
  }
}

/**
 * Whether a claim gets a new LUN, and whether its old disk is one that is measured by a clone. Shares take the place of
 * neither; where Git does not say what its data is on, its class does.
 */
function lunsFor(
  claim: Cluster['inventory']['claims'][number],
  strategy: Strategy,
  { inventory, entry }: Pick<Cluster, 'inventory' | 'entry'>,
  shares: ReadonlySet<string>,
): Making {
  const stated = statedVolume(inventory, claim.id)
  const made = statedClass(inventory, claim.storageClass)
  const toShare = isShare(protocolOf(made?.parameters))
  const named = entry.luns?.[claim.id] ?? stated?.handle
  const fromShare = named === undefined ? toShare : shares.has(named)
  if (strategy === 'new' || strategy === 'restore')
    return { lasting: !toShare && !(strategy === 'new' && fromShare), passing: false }
  const lasting = strategy === 'clone' ? !fromShare : strategy !== 'adopt' && !toShare
  return { lasting, passing: !fromShare }
}
