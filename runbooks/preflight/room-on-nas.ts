import type { Cluster } from '../../src/cluster/load.ts'
import { cloneName, type NasDescription, type NasReader } from '../../src/nas/nas.ts'

/** How many volumes are measured at once, each by a clone that goes again: as many as the NAS is asked things at once. */
const measuredAtOnce = 4

/** How many there are, how many a run still makes, and how many the NAS takes (0 where it does not say). */
export interface Room {
  used: number
  wanted: number
  most: number
}

/**
 * What a recovery makes on the NAS beside what is there, against what this model takes: for each claim that gets a new
 * disk one LUN with a target for good, and one of each for every clone that is measured at that moment. What the run
 * has made already counts as made.
 */
export async function roomOnNas(
  nas: NasReader,
  limits: NasDescription['limits'],
  { inventory, strategy }: Pick<Cluster, 'inventory' | 'strategy'>,
  run: string,
): Promise<{ luns: Room; targets: Room; lacks: string[] }> {
  const [luns, targets] = [await nas.luns(), await nas.targets()]
  const strategies = inventory.claims.map(c => strategy(c.id))
  const lasting = strategies.filter(s => s !== 'adopt').length
  const passing = Math.min(measuredAtOnce, strategies.filter(s => s !== 'new' && s !== 'restore').length)
  const own = luns.filter(l => l.name.startsWith(cloneName(run, '')) || l.name.endsWith(`-${run}`)).length
  const wanted = Math.max(0, lasting + passing - own)
  const rooms = {
    luns: { used: luns.length, wanted, most: limits.luns },
    targets: { used: targets.length, wanted, most: limits.targets },
  }
  const short = Object.entries(rooms).filter(([, r]) => r.most > 0 && r.most - r.used < r.wanted)
  // A run that took its snapshots may have had new disks made, which bear no name of its own.
  if (short.length > 0 && (await began(nas, luns, run))) return { ...rooms, lacks: [] }
  return {
    ...rooms,
    lacks: short.map(
      ([what, { used, most }]) =>
        `${used} of ${most} ${what === 'luns' ? 'LUNs' : what} are in use, and up to ${wanted} more are made (${lasting} for good, ${passing} for a while)`,
    ),
  }
}

async function began(nas: NasReader, luns: { uuid: string }[], run: string): Promise<boolean> {
  for (const { uuid } of luns)
    if ((await nas.snapshots(uuid)).some(s => s.name === `recover-${run}`)) return true
  return false
}
