import type { Claim, FoundStorageClass, Inventory, StaticVolume } from './inventory.ts'

// What Git says of one claim or disk among thousands. An inventory is indexed when it is first asked, and the index goes
// with it: every step of a volume asks, and a list would be gone through each time.

type Stated = Pick<Inventory, 'claims' | 'volumes' | 'storageClasses'>

/** A claim by its id. */
export function statedClaim(inventory: Stated, id: string | undefined): Claim | undefined {
  return id === undefined ? undefined : indexOf(inventory).claims.get(id)
}

/** The PersistentVolume of a claim: the one that names it, or else the one that it names. */
export function statedVolume(inventory: Stated, claim: string): StaticVolume | undefined {
  const { volumesOf, volumesNamed } = indexOf(inventory)
  const named = statedClaim(inventory, claim)?.volume
  return volumesOf.get(claim) ?? (named === undefined ? undefined : volumesNamed.get(named))
}

/** The PersistentVolume that leads to a LUN or share. */
export function statedVolumeTo(inventory: Stated, handle: string): StaticVolume | undefined {
  return indexOf(inventory).volumesTo.get(handle)
}

/**
 * A StorageClass by its name. Of a claim that names none it is the default one, which Kubernetes would give it; undefined
 * where Git does not say which that is.
 */
export function statedClass(
  { storageClasses }: Stated,
  name: string | undefined,
): FoundStorageClass | undefined {
  if (name !== undefined) return storageClasses.find(c => c.name === name)
  const [standard, another] = storageClasses.filter(c => c.isDefault)
  return another ? undefined : standard
}

const indexes = new WeakMap<Stated, ReturnType<typeof index>>()

function indexOf(inventory: Stated): ReturnType<typeof index> {
  const known = indexes.get(inventory) ?? index(inventory)
  indexes.set(inventory, known)
  return known
}

function index({ claims, volumes }: Stated) {
  return {
    claims: byKey(claims, c => c.id),
    volumesOf: byKey(volumes, v => v.claim),
    volumesNamed: byKey(volumes, v => v.name),
    volumesTo: byKey(volumes, v => v.handle),
  }
}

/** Of several with one key, the first is found, as by looking through the list. */
function byKey<T>(list: readonly T[], key: (item: T) => string | undefined): ReadonlyMap<string, T> {
  const found = new Map<string, T>()
  for (const item of list) {
    const known = key(item)
    if (known !== undefined && !found.has(known)) found.set(known, item)
  }
  return found
}
