import type { Lun, Share, Target } from './nas.ts'

// Ways to find something in what a NAS lists. A list is gone through once, however often it is asked: each is indexed when it
// is first asked for something, and the index goes with the list.

/** The LUN of a uuid. */
export function lunOf(luns: readonly Lun[], uuid: string | undefined): Lun | undefined {
  return uuid === undefined ? undefined : byUuid(luns).get(uuid)
}

/** The LUN of a name. */
export function lunNamed(luns: readonly Lun[], name: string): Lun | undefined {
  return byName(luns).get(name)
}

/** The first target that leads to a LUN. */
export function targetOf(targets: readonly Target[], lun: string | undefined): Target | undefined {
  return lun === undefined ? undefined : byLun(targets).get(lun)
}

/** The target of a name. */
export function targetNamed(targets: readonly Target[], name: string): Target | undefined {
  return byTargetName(targets).get(name)
}

/** The shared folder of a uuid. */
export function shareOf(shares: readonly Share[], uuid: string | undefined): Share | undefined {
  return uuid === undefined ? undefined : byShareUuid(shares).get(uuid)
}

/** The shared folder of a name. */
export function shareNamed(shares: readonly Share[], name: string): Share | undefined {
  return byShareName(shares).get(name)
}

const byUuid = indexed<Lun>(l => [l.uuid])
const byName = indexed<Lun>(l => [l.name])
const byLun = indexed<Target>(t => t.mappings.map(m => m.lun))
const byTargetName = indexed<Target>(t => [t.name])
const byShareUuid = indexed<Share>(s => [s.uuid])
const byShareName = indexed<Share>(s => [s.name])

/** Of several with one key, the first is found, as by looking through the list. */
function indexed<T>(keys: (item: T) => string[]): (list: readonly T[]) => ReadonlyMap<string, T> {
  const known = new WeakMap<readonly T[], Map<string, T>>()
  return list => {
    const before = known.get(list)
    if (before) return before
    const index = new Map<string, T>()
    for (const item of list) for (const key of keys(item)) if (!index.has(key)) index.set(key, item)
    known.set(list, index)
    return index
  }
}
