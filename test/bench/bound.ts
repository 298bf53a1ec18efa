/** One measured number and the bound that it must keep. */
export interface Measurement {
  name: string
  value: number
  unit: 'x' | 'MB'
  bound: { atMost: number } | { atLeast: number }
  /** What the value was computed from, in milliseconds unless its name says otherwise. */
  from: Record<string, number>
}

export function keepsBound({ value, bound }: Measurement): boolean {
  return 'atMost' in bound ? value <= bound.atMost : value >= bound.atLeast
}

/** The middle value; the upper one of two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}
