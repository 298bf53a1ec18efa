/** What the order of release is computed from. */
export interface Ordered {
  name: string
  /** argocd.argoproj.io/sync-wave. */
  wave: number
  /** Names of the Applications that its folder brings: an app of apps. */
  brings: string[]
}

/**
 * For each application the others that must be well before it is released. A person's own order comes first. An app of
 * apps comes after everything that it brings, since it would start that by itself; of two that the same one brings (or
 * that nothing brings) the lower sync wave comes first, with everything below it. What would close a circle with
 * what was said before it is left out.
 * @param after the person's own order: name to names
 */
export function releaseOrder(
  applications: Ordered[],
  after: ReadonlyMap<string, readonly string[]> = new Map(),
): Map<string, string[]> {
  const order = new Map(applications.map(a => [a.name, [...(after.get(a.name) ?? [])]]))
  const waitsFor = (name: string, other: string, seen = new Set<string>()): boolean => {
    if (name === other) return true
    if (seen.has(name)) return false
    seen.add(name)
    return (order.get(name) ?? []).some(next => waitsFor(next, other, seen))
  }
  // The waves alone cannot contradict each other; with a person's word between them they can.
  const add = (name: string, other: string) => {
    const known = order.get(name)
    if (!known || known.includes(other) || (after.size > 0 && waitsFor(other, name))) return
    known.push(other)
  }
  const lines = linesOf(applications)
  const pairs = applications.flatMap(a => applications.filter(b => b !== a).map(b => [a, b] as const))
  for (const [a, b] of pairs) if (lines.get(b.name)!.includes(a)) add(a.name, b.name)
  for (const [a, b] of pairs) if (earlierWave(lines.get(b.name)!, lines.get(a.name)!)) add(a.name, b.name)
  return order
}

/** From the topmost parent of each application down to itself. */
function linesOf(applications: Ordered[]): Map<string, Ordered[]> {
  const parentOf = new Map<string, Ordered>()
  for (const parent of applications)
    for (const child of parent.brings)
      if (child !== parent.name && !parentOf.has(child)) parentOf.set(child, parent)
  return new Map(
    applications.map(application => {
      const line = [application]
      for (;;) {
        const above = parentOf.get(line[0]!.name)
        // Two that bring each other have no top.
        if (!above || line.includes(above)) return [application.name, line]
        line.unshift(above)
      }
    }),
  )
}

/** Whether one comes in an earlier wave than another, where their lines part. */
function earlierWave(one: Ordered[], other: Ordered[]): boolean {
  const at = one.findIndex((a, i) => a !== other[i])
  const [a, b] = [one[at], other[at]]
  return at >= 0 && a !== undefined && b !== undefined && a.wave < b.wave
}

/** A circle in a person's own order: the names along it, the first one twice. */
export function circleIn(after: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const walk = (line: string[]): string[] | undefined => {
    for (const next of after.get(line.at(-1)!) ?? []) {
      if (line.includes(next)) return [...line.slice(line.indexOf(next)), next]
      const found = walk([...line, next])
      if (found) return found
    }
    return undefined
  }
  for (const name of after.keys()) {
    const found = walk([name])
    if (found) return found
  }
  return undefined
}
