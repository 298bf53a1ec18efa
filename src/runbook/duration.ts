/** A length of time as a person writes it: `500ms`, `90s`, `4m`, `1h`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h'}`

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** Milliseconds of a {@link Duration}. Throws a RangeError for anything else. */
export function milliseconds(text: Duration | string): number {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  if (!match) throw new RangeError(`expected a duration like 90s or 10m, got ${JSON.stringify(text)}`)
  const ms = Number(match[1]) * units[match[2] as keyof typeof units]
  parsed.set(text, ms)
  return ms
}

/** Steps write a few lengths of time, and are asked for them at every look. */
const parsed = new Map<string, number>()

/** The shortest honest text for a number of milliseconds: `840 ms`, `4.2 s`, `3 min 05 s`, `1 h 02 min`. */
export function showDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`
  return `${Math.floor(seconds / 3_600)} h ${pad(Math.floor(seconds / 60) % 60)} min`
}

function pad(n: number): string {
  return String(n).padStart(2, '0')
}
