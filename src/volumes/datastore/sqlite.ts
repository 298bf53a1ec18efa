import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { damaged } from './database-damaged.ts'
import { readWal } from './sqlite-wal.ts'

/** A value as SQLite stores it. Integers beyond 2^53 stay bigint. */
export type SqliteValue = null | number | bigint | string | Buffer

/** One row of a table, its columns decoded only when asked for: a value may lie on a chain of many pages. */
export interface SqliteRow {
  rowid: number
  /** The first `count` columns. Cheap as long as they lie on the row's own page. */
  columns(count: number): SqliteValue[]
}

/** A database file that is only ever read. */
export interface SqliteDatabase {
  /** Every row of a table in the order of its rowid. Fault `database-damaged` when the table is not there. */
  rows(table: string): Generator<SqliteRow>
  /** Committed transactions that were still in the -wal file, and bytes behind the last of them that were dropped. */
  wal: { frames: number; droppedBytes: number }
  close(): void
}

interface Reading {
  file: string
  usable: number
  /** Size of the whole database. */
  bytes: number
  page(number: number): Buffer
}

const magic = 'SQLite format 3\0'
const leaf = 0x0d
const interior = 0x05

/**
 * Opens a copy of a SQLite database by its file format (sqlite.org/fileformat2.html), with the committed frames of its
 * write-ahead log laid over it. Nothing is written, so that evidence stays what it was: SQLite itself would recover into
 * the file. Throws Fault `database-damaged`.
 */
export function openSqlite(file: string): SqliteDatabase {
  const fd = openSync(file, 'r')
  try {
    const header = Buffer.alloc(100)
    if (readSync(fd, header, 0, 100, 0) < 100 || header.toString('latin1', 0, 16) !== magic)
      throw damaged(file, 'it is no SQLite database')
    const stored = header.readUInt16BE(16)
    const pageSize = stored === 1 ? 65_536 : stored
    if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0)
      throw damaged(file, `it claims a page size of ${pageSize}`)
    if (header.readUInt32BE(56) > 1) throw damaged(file, 'its text is not UTF-8')
    refuseHotJournal(file)
    const wal = readWal(`${file}-wal`, pageSize)
    const pages = wal.pages.size > 0 ? wal.size : Math.floor(fstatSync(fd).size / pageSize)
    const page = (number: number): Buffer => {
      if (number < 1 || number > pages) throw damaged(file, `page ${number} of ${pages} is asked for`)
      const fromWal = wal.read(number)
      if (fromWal) return fromWal
      const buffer = Buffer.alloc(pageSize)
      if (readSync(fd, buffer, 0, pageSize, (number - 1) * pageSize) < pageSize)
        throw damaged(file, `it ends in the middle of page ${number}`)
      return buffer
    }
    const reading: Reading = { file, usable: pageSize - header[20]!, bytes: pages * pageSize, page }
    return {
      rows: table => rowsBelow(reading, rootOf(reading, table), 0),
      wal: { frames: wal.pages.size, droppedBytes: wal.droppedBytes },
      close() {
        wal.close()
        closeSync(fd)
      },
    }
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
}

/** A rollback journal that was not deleted means that the file holds half a transaction; only SQLite can take it back. */
function refuseHotJournal(file: string): void {
  const journal = `${file}-journal`
  if (!existsSync(journal)) return
  const fd = openSync(journal, 'r')
  try {
    const first = Buffer.alloc(8)
    const hot = readSync(fd, first, 0, 8, 0) === 8 && first.toString('hex') === 'd9d505f920a163d7'
    if (hot)
      throw damaged(
        file,
        'a transaction was cut off and its rollback journal is still there; open a copy of both once with sqlite3',
      )
  } finally {
    closeSync(fd)
  }
}

function rootOf(reading: Reading, table: string): number {
  for (const row of rowsBelow(reading, 1, 0)) {
    const [type, name, , root] = row.columns(4)
    if (type === 'table' && name === table) return Number(root)
  }
  throw damaged(reading.file, `it has no table ${table}`)
}

function* rowsBelow(reading: Reading, number: number, depth: number): Generator<SqliteRow> {
  // A table of 2^64 rows is not deeper than this; a deeper one goes in a circle.
  if (depth > 40) throw damaged(reading.file, 'its pages point at each other in a circle')
  const page = reading.page(number)
  const at = number === 1 ? 100 : 0
  const type = page[at]
  const cells = page.readUInt16BE(at + 3)
  const pointers = at + (type === interior ? 12 : 8)
  if (pointers + cells * 2 > page.length) throw damaged(reading.file, `page ${number} claims ${cells} cells`)
  if (type === interior) {
    for (let i = 0; i < cells; i += 1)
      yield* rowsBelow(reading, page.readUInt32BE(cellAt(reading, page, number, pointers + i * 2)), depth + 1)
    yield* rowsBelow(reading, page.readUInt32BE(at + 8), depth + 1)
    return
  }
  if (type !== leaf) throw damaged(reading.file, `page ${number} is no page of a table (${type})`)
  for (let i = 0; i < cells; i += 1)
    yield rowAt(reading, page, number, cellAt(reading, page, number, pointers + i * 2))
}

function cellAt(reading: Reading, page: Buffer, number: number, pointer: number): number {
  const cell = page.readUInt16BE(pointer)
  if (cell < 8 || cell + 4 > page.length)
    throw damaged(reading.file, `page ${number} has a cell outside of itself`)
  return cell
}

function rowAt(reading: Reading, page: Buffer, number: number, cell: number): SqliteRow {
  const [size, afterSize] = varint(page, cell)
  const [rowid, start] = varint(page, afterSize)
  const { usable } = reading
  const total = Number(size)
  const most = usable - 35
  const least = Math.floor(((usable - 12) * 32) / 255) - 23
  const spill = least + ((total - least) % (usable - 4))
  const local = total <= most ? total : spill <= most ? spill : least
  if (start + local > page.length)
    throw damaged(reading.file, `a row on page ${number} is longer than its page`)
  let whole: Buffer | undefined
  const payload = (needed: number): Buffer => {
    if (needed <= local) return page.subarray(start, start + local)
    whole ??= chained(reading, page, start, local, total)
    return whole
  }
  return { rowid: Number(rowid), columns: count => decode(reading, payload, count, Number(rowid)) }
}

function chained(reading: Reading, page: Buffer, start: number, local: number, total: number): Buffer {
  if (total > reading.bytes) throw damaged(reading.file, `a row claims ${total} bytes`)
  const parts = [page.subarray(start, start + local)]
  let left = total - local
  let next = page.readUInt32BE(start + local)
  while (left > 0) {
    const overflow = reading.page(next)
    const here = Math.min(left, reading.usable - 4)
    parts.push(overflow.subarray(4, 4 + here))
    left -= here
    next = overflow.readUInt32BE(0)
  }
  return Buffer.concat(parts)
}

function decode(
  reading: Reading,
  payload: (needed: number) => Buffer,
  count: number,
  rowid: number,
): SqliteValue[] {
  const [headerSize, afterHeader] = varint(payload(9), 0)
  const header = payload(Number(headerSize))
  const values: SqliteValue[] = []
  let type = afterHeader
  let body = Number(headerSize)
  while (type < Number(headerSize) && values.length < count) {
    const [serial, next] = varint(header, type)
    type = next
    const size = sizeOf(Number(serial))
    const bytes = payload(body + size)
    if (body + size > bytes.length) throw damaged(reading.file, `row ${rowid} ends in the middle of a column`)
    values.push(columnOf(Number(serial), bytes, body, size))
    body += size
  }
  // An INTEGER PRIMARY KEY is stored as NULL: it is the rowid.
  if (values[0] === null) values[0] = rowid
  return values
}

function sizeOf(serial: number): number {
  if (serial >= 12) return Math.floor((serial - 12) / 2)
  return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0][serial] ?? 0
}

function columnOf(serial: number, bytes: Buffer, at: number, size: number): SqliteValue {
  if (serial === 0) return null
  if (serial === 8) return 0
  if (serial === 9) return 1
  if (serial === 7) return bytes.readDoubleBE(at)
  if (serial === 6) {
    const big = bytes.readBigInt64BE(at)
    return big >= Number.MIN_SAFE_INTEGER && big <= Number.MAX_SAFE_INTEGER ? Number(big) : big
  }
  if (serial <= 5) return bytes.readIntBE(at, size)
  return serial % 2 === 1 ? bytes.toString('utf8', at, at + size) : Buffer.from(bytes.subarray(at, at + size))
}

/** SQLite's variable-length integer: 7 bits a byte from the highest, 8 bits in a ninth byte. */
function varint(bytes: Buffer, at: number): [value: bigint, next: number] {
  let value = 0n
  for (let i = 0; i < 9; i += 1) {
    const byte = bytes[at + i] ?? 0
    if (i === 8) return [(value << 8n) | BigInt(byte), at + 9]
    value = (value << 7n) | BigInt(byte & 0x7f)
    if (byte < 0x80) return [value, at + i + 1]
  }
  return [value, at + 9]
}
