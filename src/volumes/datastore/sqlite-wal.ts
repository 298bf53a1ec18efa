import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { damaged } from './database-damaged.ts'

/** The part of a write-ahead log that was committed. */
export interface Wal {
  /** Page number to the place of its newest committed frame in the log. */
  pages: Map<number, number>
  /** Size of the database in pages after the last commit; 0 without one. */
  size: number
  /** Bytes behind the last commit: a transaction that was cut off, or frames of an earlier round. */
  droppedBytes: number
  read(page: number): Buffer | undefined
  close(): void
}

const headerBytes = 32
const frameHeaderBytes = 24
const nothing: Wal = {
  pages: new Map(),
  size: 0,
  droppedBytes: 0,
  read: () => undefined,
  close() {},
}

/**
 * Reads a -wal file (sqlite.org/fileformat2.html#walformat): frames count up to the last one that commits, as long as
 * their salts are the header's and every checksum, each running on from the one before, is right. A log that is missing,
 * empty or has an invalid header holds nothing, as SQLite sees it.
 */
export function readWal(file: string, pageSize: number): Wal {
  if (!existsSync(file)) return nothing
  const fd = openSync(file, 'r')
  const { size } = fstatSync(fd)
  const header = Buffer.alloc(headerBytes)
  if (readSync(fd, header, 0, headerBytes, 0) < headerBytes) {
    closeSync(fd)
    return nothing
  }
  const magic = header.readUInt32BE(0)
  const valid = magic === 0x377f0682 || magic === 0x377f0683
  const littleEndian = magic === 0x377f0682
  let sum = checksum(header.subarray(0, 24), [0, 0], littleEndian)
  if (!valid || sum[0] !== header.readUInt32BE(24) || sum[1] !== header.readUInt32BE(28)) {
    closeSync(fd)
    return { ...nothing, droppedBytes: size }
  }
  if (header.readUInt32BE(8) !== pageSize) {
    closeSync(fd)
    throw damaged(
      file,
      `its pages have ${header.readUInt32BE(8)} bytes and those of its database ${pageSize}`,
    )
  }
  const pages = new Map<number, number>()
  const open = new Map<number, number>()
  const frame = Buffer.alloc(frameHeaderBytes + pageSize)
  let at = headerBytes
  let committed = headerBytes
  let pagesAfter = 0
  for (; at + frame.length <= size; at += frame.length) {
    readSync(fd, frame, 0, frame.length, at)
    if (!frame.subarray(8, 16).equals(header.subarray(16, 24))) break
    sum = checksum(frame.subarray(0, 8), sum, littleEndian)
    sum = checksum(frame.subarray(frameHeaderBytes), sum, littleEndian)
    if (sum[0] !== frame.readUInt32BE(16) || sum[1] !== frame.readUInt32BE(20)) break
    open.set(frame.readUInt32BE(0), at + frameHeaderBytes)
    const size = frame.readUInt32BE(4)
    if (size === 0) continue
    for (const [page, place] of open) pages.set(page, place)
    open.clear()
    pagesAfter = size
    committed = at + frame.length
  }
  return {
    pages,
    size: pagesAfter,
    droppedBytes: size - committed,
    read(page) {
      const place = pages.get(page)
      if (place === undefined || page > pagesAfter) return undefined
      const buffer = Buffer.alloc(pageSize)
      readSync(fd, buffer, 0, pageSize, place)
      return buffer
    },
    close: () => closeSync(fd),
  }
}

/** Two sums that run over 32-bit words, in the byte order that the magic number says. */
function checksum(bytes: Buffer, [a, b]: [number, number], littleEndian: boolean): [number, number] {
  let s0 = a
  let s1 = b
  for (let i = 0; i < bytes.length; i += 8) {
    const [x0, x1] = littleEndian
      ? [bytes.readUInt32LE(i), bytes.readUInt32LE(i + 4)]
      : [bytes.readUInt32BE(i), bytes.readUInt32BE(i + 4)]
    s0 = (s0 + x0 + s1) >>> 0
    s1 = (s1 + x1 + s0) >>> 0
  }
  return [s0, s1]
}
