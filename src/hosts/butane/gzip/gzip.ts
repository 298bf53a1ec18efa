import { BlockWriter, type Piece } from './blocks.ts'
import { crc32 } from './checksum.ts'

const windowSize = 32_768
const windowMask = windowSize - 1
const hashShift = 15
const shortestMatch = 4
const longestMatch = 258
/** A match is looked for only where this much lies ahead, as long as more may come. */
const lookaheadWanted = shortestMatch + longestMatch
const mostPieces = 16_384
/** How many earlier places with the same hash are tried; a quarter of them once a match is `good`. */
const chainLength = 4096
const goodMatch = 32

/**
 * Packs contents exactly as Go's compress/gzip does at its best compression: Butane decides by the length of the result
 * whether contents are packed at all, and zlib's results are some bytes shorter or longer.
 */
export function gzipLikeGo(contents: Uint8Array): Buffer {
  const writer = new BlockWriter()
  new Deflater(contents, writer).run()
  writer.end()
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(crc32(contents), 0)
  tail.writeUInt32LE(contents.length % 2 ** 32, 4)
  // Deflate, no flags, no time, best compression, unknown system.
  const head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]
  return Buffer.concat([Buffer.from(head), Buffer.from(writer.written), tail])
}

// Half a megabyte that is cleared is had sooner than half a megabyte that is new.
const hashHeads = new Int32Array(1 << 17)

/** Finds what came before within the last 32 KiB, one position late: a longer match at the next position wins. */
class Deflater {
  private readonly data: Uint8Array
  private readonly writer: BlockWriter
  private readonly heads = hashHeads.fill(0)
  private readonly previous = new Int32Array(windowSize)
  private pieces: Piece[] = []
  private index = 0
  /** Where the window of twice 32 KiB begins, and where what it holds ends. */
  private windowStart = 0
  private windowEnd = 0
  /** Where the present block began; undefined if the window has moved past that. */
  private blockStart: number | undefined = 0
  private chainHead = 0
  private length = shortestMatch - 1
  private distance = 0
  private literalWaits = false

  constructor(data: Uint8Array, writer: BlockWriter) {
    this.data = data
    this.writer = writer
  }

  run(): void {
    while (this.windowEnd < this.data.length) {
      this.deflate(false)
      this.fill()
    }
    this.deflate(true)
  }

  private fill(): void {
    if (this.index - this.windowStart >= 2 * windowSize - lookaheadWanted) {
      this.windowStart += windowSize
      if (this.blockStart !== undefined && this.blockStart < this.windowStart) this.blockStart = undefined
    }
    this.windowEnd = Math.min(this.data.length, this.windowStart + 2 * windowSize)
  }

  private deflate(last: boolean): void {
    const insertBefore = this.windowEnd - (shortestMatch - 1)
    if (this.windowEnd - this.index < lookaheadWanted && !last) return
    for (;;) {
      const lookahead = this.windowEnd - this.index
      if (lookahead < lookaheadWanted && !last) return
      if (lookahead === 0) {
        if (this.literalWaits) this.pieces.push({ literal: this.data[this.index - 1]! })
        this.literalWaits = false
        if (this.pieces.length > 0) this.writeBlock(this.index)
        return
      }
      if (this.index < insertBefore) this.chainHead = this.insert(this.index)
      const before = { length: this.length, distance: this.distance }
      this.length = shortestMatch - 1
      this.distance = 0
      const oldest = Math.max(this.index - windowSize, this.windowStart)
      if (this.chainHead - 1 >= oldest && lookahead > before.length && before.length < longestMatch)
        this.findMatch(lookahead)
      if (before.length >= shortestMatch && this.length <= before.length) {
        this.pieces.push(before)
        const next = this.index + before.length - 1
        for (this.index++; this.index < next; this.index++)
          if (this.index < insertBefore) this.insert(this.index)
        this.literalWaits = false
        this.length = shortestMatch - 1
        if (this.pieces.length === mostPieces) this.writeBlock(this.index)
      } else {
        if (this.literalWaits) {
          this.pieces.push({ literal: this.data[this.index - 1]! })
          if (this.pieces.length === mostPieces) this.writeBlock(this.index)
        }
        this.index++
        this.literalWaits = true
      }
    }
  }

  /** Remembers a place by the hash of its four bytes; gives the place before it with that hash, plus one. */
  private insert(at: number): number {
    const { data } = this
    const four = (data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!
    const hash = Math.imul(four, 0x1e35a7bd) >>> hashShift
    const head = this.heads[hash]!
    this.previous[at & windowMask] = head
    this.heads[hash] = at + 1
    return head
  }

  private findMatch(lookahead: number): void {
    const { data, index } = this
    const most = Math.min(longestMatch, lookahead)
    let tries = this.length >= goodMatch ? chainLength >> 2 : chainLength
    let length = this.length
    let wanted = data[index + length]
    const oldest = index - windowSize
    for (let at = this.chainHead - 1; tries > 0; tries--) {
      if (wanted === data[at + length]) {
        let n = 0
        while (n < most && data[at + n] === data[index + n]) n++
        if (n > length && (n > shortestMatch || index - at <= 4096)) {
          length = n
          this.length = n
          this.distance = index - at
          if (n >= most) return
          wanted = data[index + n]
        }
      }
      if (at === oldest) return
      at = this.previous[at & windowMask]! - 1
      if (at < oldest || at < this.windowStart) return
    }
  }

  private writeBlock(end: number): void {
    const from = this.blockStart
    this.writer.block(
      this.pieces,
      from === undefined || from > end ? undefined : this.data.subarray(from, end),
    )
    this.blockStart = end
    this.pieces = []
  }
}
