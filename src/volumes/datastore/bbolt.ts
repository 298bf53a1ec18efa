import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { damaged } from './database-damaged.ts'

/** A bbolt file that is only ever read. */
export interface BoltDatabase {
  /** Every entry of a bucket in the order of its keys. Fault `database-damaged` when the bucket is not there. */
  entries(bucket: string): Generator<{ key: Buffer; value: Buffer }>
  close(): void
}

interface Bolt {
  file: string
  pageSize: number
  pages: number
  read(page: number): Buffer
}

const magic = 0xed0cdaed
const headerBytes = 16
const isBranch = 1
const isLeaf = 2
const isMeta = 4
const isBucket = 1

/**
 * Opens a bbolt file by its format (go.etcd.io/bbolt: page.go, meta.go, bucket.go): of the two meta pages the valid one with
 * the higher transaction counts, so that a transaction that was cut off is as if it had never been. Throws Fault
 * `database-damaged`.
 */
export function openBolt(file: string): BoltDatabase {
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    const meta = newestMeta(fd, size, file)
    const read = (page: number): Buffer => {
      const first = Buffer.alloc(meta.pageSize)
      // A snapshot ends with its hash behind the last page; a page is never read beyond the file.
      if (readSync(fd, first, 0, meta.pageSize, page * meta.pageSize) < headerBytes)
        throw damaged(file, `page ${page} lies behind its end`)
      const overflow = first.readUInt32LE(12)
      if (overflow === 0) return first
      if ((page + overflow) * meta.pageSize > size)
        throw damaged(file, `page ${page} is longer than the file`)
      const whole = Buffer.alloc((overflow + 1) * meta.pageSize)
      readSync(fd, whole, 0, whole.length, page * meta.pageSize)
      return whole
    }
    const bolt: Bolt = { file, pageSize: meta.pageSize, pages: Math.ceil(size / meta.pageSize), read }
    return {
      *entries(bucket) {
        for (const { key, value, flags } of below(bolt, read(meta.root), 0))
          if (flags === isBucket && key.toString() === bucket) {
            yield* inBucket(bolt, value)
            return
          }
        throw damaged(file, `it has no bucket ${bucket}`)
      },
      close: () => closeSync(fd),
    }
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
}

/** A bucket is a root page elsewhere or, when that is page 0, a small page that follows its header at once. */
function* inBucket(bolt: Bolt, value: Buffer): Generator<{ key: Buffer; value: Buffer }> {
  const root = Number(value.readBigUInt64LE(0))
  const page = root === 0 ? value.subarray(headerBytes) : bolt.read(root)
  for (const { key, value: inside, flags } of below(bolt, page, 0))
    if (flags !== isBucket) yield { key, value: inside }
}

function* below(
  bolt: Bolt,
  page: Buffer,
  depth: number,
): Generator<{ key: Buffer; value: Buffer; flags: number }> {
  if (depth > 40) throw damaged(bolt.file, 'its pages point at each other in a circle')
  const flags = page.readUInt16LE(8)
  const count = page.readUInt16LE(10)
  for (let i = 0; i < count; i += 1) {
    const element = headerBytes + i * 16
    if (element + 16 > page.length) throw damaged(bolt.file, `a page claims ${count} elements`)
    if ((flags & isBranch) !== 0) {
      const child = Number(page.readBigUInt64LE(element + 8))
      if (child < 2 || child >= bolt.pages) throw damaged(bolt.file, `a branch leads to page ${child}`)
      yield* below(bolt, bolt.read(child), depth + 1)
    } else if ((flags & isLeaf) !== 0) {
      const key = element + page.readUInt32LE(element + 4)
      const value = key + page.readUInt32LE(element + 8)
      const end = value + page.readUInt32LE(element + 12)
      if (end > page.length) throw damaged(bolt.file, 'an element is longer than its page')
      yield {
        flags: page.readUInt32LE(element),
        key: page.subarray(key, value),
        value: page.subarray(value, end),
      }
    } else throw damaged(bolt.file, `a page is neither branch nor leaf (${flags})`)
  }
}

interface Meta {
  pageSize: number
  root: number
  transaction: bigint
}

/** The page size stands in the meta pages themselves, the second of which lies one page in: every size is tried. */
function newestMeta(fd: number, size: number, file: string): Meta {
  const metaAt = (place: number): Meta | undefined => {
    const bytes = Buffer.alloc(headerBytes + 64)
    if (place + bytes.length > size) return undefined
    readSync(fd, bytes, 0, bytes.length, place)
    const meta = bytes.subarray(headerBytes)
    if ((bytes.readUInt16LE(8) & isMeta) === 0 || meta.readUInt32LE(0) !== magic) return undefined
    if (meta.readUInt32LE(4) !== 2)
      throw damaged(file, `it is of version ${meta.readUInt32LE(4)} of the format`)
    if (meta.readBigUInt64LE(56) !== fnv1a(meta.subarray(0, 56))) return undefined
    return {
      pageSize: meta.readUInt32LE(8),
      root: Number(meta.readBigUInt64LE(16)),
      transaction: meta.readBigUInt64LE(48),
    }
  }
  const sizes = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536]
  const metas = [0, ...sizes].flatMap(place => metaAt(place) ?? [])
  const [newest] = metas.sort((a, b) => (a.transaction > b.transaction ? -1 : 1))
  if (!newest) throw damaged(file, 'it has no valid meta page: it is no bbolt file, or its beginning is lost')
  return newest
}

/** FNV-1a with 64 bits, which the meta page is signed with. */
function fnv1a(bytes: Buffer): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}
