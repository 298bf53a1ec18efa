import { type PrefixCode, reversed, shortestCode } from './huffman.ts'

/** A byte of the contents, or how much of what went before comes again, and from how far back. */
export type Piece = { literal: number } | { length: number; distance: number }

const endOfBlock = 256
const literalSymbols = 286
const distanceSymbols = 30
const longestStored = 65_535

/** First length and number of extra bits of every length symbol from 257 on (RFC 1951, 3.2.5). */
const lengthRows = rows(29, i => (i < 8 || i === 28 ? 0 : (i >> 2) - 1), 3)
lengthRows[28] = { first: 258, extra: 0 }
/** First distance and number of extra bits of every distance symbol. */
const distanceRows = rows(30, i => (i < 4 ? 0 : (i >> 1) - 1), 1)

interface Row {
  first: number
  extra: number
}

function rows(count: number, extraOf: (i: number) => number, from: number): Row[] {
  let first = from
  return Array.from({ length: count }, (_, i) => {
    const row = { first, extra: extraOf(i) }
    first += 1 << row.extra
    return row
  })
}

function symbolsFor(table: readonly Row[], most: number): Uint8Array {
  const symbols = new Uint8Array(most + 1)
  table.forEach(({ first }, symbol) => {
    symbols.fill(symbol, first)
  })
  return symbols
}

const lengthSymbols = symbolsFor(lengthRows, 258)
const distanceSymbolOf = symbolsFor(distanceRows, 32_768)

const fixedLiterals: PrefixCode = (() => {
  const bits = new Uint16Array(288)
  const lengths = new Uint8Array(288)
  for (let symbol = 0; symbol < 288; symbol++) {
    const [code, length] =
      symbol < 144
        ? [symbol + 48, 8]
        : symbol < 256
          ? [symbol + 256, 9]
          : symbol < 280
            ? [symbol - 256, 7]
            : [symbol - 88, 8]
    bits[symbol] = reversed(code, length)
    lengths[symbol] = length
  }
  return { bits, lengths }
})()

const fixedDistances: PrefixCode = {
  bits: Uint16Array.from({ length: distanceSymbols }, (_, symbol) => reversed(symbol, 5)),
  lengths: new Uint8Array(distanceSymbols).fill(5),
}

/** The order in which lengths of code lengths are written. */
const lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

/** Writes the blocks of a deflate stream. */
export class BlockWriter {
  private readonly bytes: number[] = []
  private pending = 0
  private count = 0

  /** Everything written, in whole bytes. */
  get written(): number[] {
    return this.bytes
  }

  /**
   * Writes pieces as a block of the kind that is the shortest.
   * @param stored the bytes that they stand for, if those are still there.
   */
  block(pieces: readonly Piece[], stored: Uint8Array | undefined): void {
    const literals = new Int32Array(literalSymbols)
    const distances = new Int32Array(distanceSymbols)
    literals[endOfBlock] = 1
    let extra = 0
    for (const piece of pieces) {
      if ('literal' in piece) {
        literals[piece.literal]!++
        continue
      }
      const length = lengthSymbols[piece.length]!
      const distance = distanceSymbolOf[piece.distance]!
      literals[257 + length]!++
      distances[distance]!++
      extra += lengthRows[length]!.extra + distanceRows[distance]!.extra
    }
    const literalCount = lastSet(literals) + 1
    let distanceCount = lastSet(distances) + 1
    if (distanceCount === 0) {
      // A code for distances must have a word even where there are none.
      distances[0] = 1
      distanceCount = 1
    }
    const own = { literals: shortestCode(literals, 15), distances: shortestCode(distances, 15) }
    const header = describe(
      own.literals.lengths.subarray(0, literalCount),
      own.distances.lengths.subarray(0, distanceCount),
    )
    const sizeWith = (l: PrefixCode, d: PrefixCode) => 3 + bitsOf(literals, l) + bitsOf(distances, d) + extra
    const fixedSize = sizeWith(fixedLiterals, fixedDistances)
    const ownSize = sizeWith(own.literals, own.distances) + header.size
    if (stored && stored.length <= longestStored && (stored.length + 5) * 8 < Math.min(fixedSize, ownSize)) {
      this.storedHeader(stored.length, false)
      for (const byte of stored) this.bits(byte, 8)
      return
    }
    if (ownSize < fixedSize) {
      this.bits(4, 3)
      this.header(header, literalCount, distanceCount)
      this.pieces(pieces, own.literals, own.distances)
    } else {
      this.bits(2, 3)
      this.pieces(pieces, fixedLiterals, fixedDistances)
    }
  }

  /** Ends the stream with an empty block. */
  end(): void {
    this.storedHeader(0, true)
    this.align()
  }

  private storedHeader(length: number, last: boolean): void {
    this.bits(last ? 1 : 0, 3)
    this.align()
    this.bits(length, 16)
    this.bits(~length & 0xffff, 16)
  }

  private header(header: Description, literalCount: number, distanceCount: number): void {
    this.bits(literalCount - 257, 5)
    this.bits(distanceCount - 1, 5)
    this.bits(header.lengthCount - 4, 4)
    for (const symbol of lengthOrder.slice(0, header.lengthCount)) this.bits(header.code.lengths[symbol]!, 3)
    for (const { symbol, extra } of header.runs) {
      this.word(header.code, symbol)
      this.bits(extra, extraBits[symbol] ?? 0)
    }
  }

  private pieces(pieces: readonly Piece[], literals: PrefixCode, distances: PrefixCode): void {
    for (const piece of pieces) {
      if ('literal' in piece) {
        this.word(literals, piece.literal)
        continue
      }
      const length = lengthSymbols[piece.length]!
      this.word(literals, 257 + length)
      this.bits(piece.length - lengthRows[length]!.first, lengthRows[length]!.extra)
      const distance = distanceSymbolOf[piece.distance]!
      this.word(distances, distance)
      this.bits(piece.distance - distanceRows[distance]!.first, distanceRows[distance]!.extra)
    }
    this.word(literals, endOfBlock)
  }

  private word(code: PrefixCode, symbol: number): void {
    this.bits(code.bits[symbol]!, code.lengths[symbol]!)
  }

  private bits(value: number, count: number): void {
    this.pending |= value << this.count
    this.count += count
    while (this.count >= 8) {
      this.bytes.push(this.pending & 0xff)
      this.pending >>>= 8
      this.count -= 8
    }
  }

  private align(): void {
    if (this.count > 0) this.bits(0, 8 - this.count)
  }
}

interface Description {
  /** Code lengths as symbols: themselves, or runs (16: the one before again; 17, 18: zeros). */
  runs: { symbol: number; extra: number }[]
  code: PrefixCode
  lengthCount: number
  /** Bits that the description takes, without the three that every block begins with. */
  size: number
}

const extraBits: Record<number, number> = { 16: 2, 17: 3, 18: 7 }

/** How the lengths of the words of both codes are written down. */
function describe(literals: Uint8Array, distances: Uint8Array): Description {
  const runs: Description['runs'] = []
  const all = [...literals, ...distances]
  for (let i = 0; i < all.length; ) {
    const length = all[i]!
    let count = 1
    while (all[i + count] === length) count++
    i += count
    if (length === 0)
      for (; count >= 11; count -= Math.min(count, 138))
        runs.push({ symbol: 18, extra: Math.min(count, 138) - 11 })
    else {
      runs.push({ symbol: length, extra: 0 })
      count--
      for (; count >= 3; count -= Math.min(count, 6)) runs.push({ symbol: 16, extra: Math.min(count, 6) - 3 })
    }
    if (length === 0 && count >= 3) {
      runs.push({ symbol: 17, extra: count - 3 })
      count = 0
    }
    for (; count > 0; count--) runs.push({ symbol: length, extra: 0 })
  }
  const frequencies = new Int32Array(19)
  let extra = 0
  for (const { symbol } of runs) {
    frequencies[symbol]!++
    extra += extraBits[symbol] ?? 0
  }
  const code = shortestCode(frequencies, 7)
  let lengthCount = lengthOrder.length
  while (lengthCount > 4 && frequencies[lengthOrder[lengthCount - 1]!] === 0) lengthCount--
  return { runs, code, lengthCount, size: 14 + 3 * lengthCount + bitsOf(frequencies, code) + extra }
}

function bitsOf(frequencies: Int32Array, code: PrefixCode): number {
  return frequencies.reduce((sum, frequency, symbol) => sum + frequency * code.lengths[symbol]!, 0)
}

function lastSet(frequencies: Int32Array): number {
  return frequencies.findLastIndex(f => f !== 0)
}
