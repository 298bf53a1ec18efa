/** What may stand in the place of any value of an answer. */
export const anyValues = [undefined, null, 0, -1, 1.5, true, '', 'x', [], {}, [null], [[]], { a: 1 }]

/** A copy of a value with one of all values in it changed, by where it stands among them; itself is the first. */
export function withValue(whole: unknown, nth: number, value: unknown): unknown {
  let left = nth
  const changed = (inner: unknown): unknown => {
    if (left-- === 0) return value
    if (Array.isArray(inner)) return inner.map(changed)
    if (inner === null || typeof inner !== 'object') return inner
    return Object.fromEntries(Object.entries(inner).map(([key, deeper]) => [key, changed(deeper)]))
  }
  return changed(whole)
}
