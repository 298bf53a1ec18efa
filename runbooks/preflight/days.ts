/** Whole days that have gone by. */
export function daysSince(when: Date, now = Date.now()): number {
  return Math.max(0, Math.floor((now - when.getTime()) / (24 * 3_600_000)))
}
