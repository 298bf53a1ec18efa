/** A prefix code: for every symbol its bits, the first one lowest, and how many they are. */
export interface PrefixCode {
  bits: Uint16Array
  lengths: Uint8Array
}

interface Leaf {
  symbol: number
  frequency: number
}

/**
 * The prefix code that is shortest for these frequencies, no word longer than `longest`. Of codes that are equally short
 * it is that of Go's compress/flate, so that the same contents become the same bytes.
 */
export function shortestCode(frequencies: Int32Array, longest: number): PrefixCode {
  const bits = new Uint16Array(frequencies.length)
  const lengths = new Uint8Array(frequencies.length)
  const leaves: Leaf[] = []
  frequencies.forEach((frequency, symbol) => {
    if (frequency !== 0) leaves.push({ symbol, frequency })
  })
  if (leaves.length <= 2) {
    leaves.forEach(({ symbol }, i) => {
      bits[symbol] = i
      lengths[symbol] = 1
    })
    return { bits, lengths }
  }
  leaves.sort((a, b) => a.frequency - b.frequency || a.symbol - b.symbol)
  let code = 0
  let left = leaves.length
  wordsOfLength(leaves, longest).forEach((count, length) => {
    code <<= 1
    if (count === 0) return
    // The rarest symbols come last and get the longest words; within a length, words go by symbol.
    const chunk = leaves.slice(left - count, left).sort((a, b) => a.symbol - b.symbol)
    for (const { symbol } of chunk) {
      bits[symbol] = reversed(code, length)
      lengths[symbol] = length
      code++
    }
    left -= count
  })
  return { bits, lengths }
}

interface Level {
  last: number
  nextLeaf: number
  nextPair: number
  needed: number
  /** How many leaves are left of the rightmost node's ancestor on each level below. */
  leaves: number[]
}

/** How many words of each length the code has, by the boundary package-merge of Katajainen, Moffat and Turpin. */
function wordsOfLength(sorted: readonly Leaf[], longest: number): number[] {
  const count = sorted.length
  const frequency = (i: number) => sorted[i]?.frequency ?? Number.POSITIVE_INFINITY
  const depth = Math.min(longest, count - 1)
  const levels: Level[] = Array.from({ length: depth + 2 }, (_, level) => {
    const leaves: number[] = new Array(depth + 1).fill(0)
    if (level === 0) return { last: 0, nextLeaf: 0, nextPair: 0, needed: 0, leaves }
    leaves[level] = 2
    return {
      last: frequency(1),
      nextLeaf: frequency(2),
      nextPair: level === 1 ? Number.POSITIVE_INFINITY : frequency(0) + frequency(1),
      needed: 0,
      leaves,
    }
  })
  levels[depth]!.needed = 2 * count - 4
  let at = depth
  for (;;) {
    const level = levels[at]!
    if (level.nextPair === Number.POSITIVE_INFINITY && level.nextLeaf === Number.POSITIVE_INFINITY) {
      level.needed = 0
      levels[at + 1]!.nextPair = Number.POSITIVE_INFINITY
      at++
      continue
    }
    const before = level.last
    if (level.nextLeaf < level.nextPair) {
      level.last = level.nextLeaf
      level.leaves[at]!++
      level.nextLeaf = frequency(level.leaves[at]!)
    } else {
      level.last = level.nextPair
      const below = levels[at - 1]!
      for (let i = 0; i < at; i++) level.leaves[i] = below.leaves[i]!
      below.needed = 2
    }
    level.needed--
    if (level.needed === 0) {
      if (at === depth) break
      levels[at + 1]!.nextPair = before + level.last
      at++
    } else while (levels[at - 1]!.needed > 0) at--
  }
  const { leaves } = levels[depth]!
  const words: number[] = [0]
  for (let level = depth; level > 0; level--) words.push(leaves[level]! - leaves[level - 1]!)
  return words
}

/** Bits in the other order. */
export function reversed(value: number, length: number): number {
  let out = 0
  for (let i = 0; i < length; i++) if ((value & (1 << i)) !== 0) out |= 1 << (length - 1 - i)
  return out
}
