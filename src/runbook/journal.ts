import { hash as digest, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  unlinkSync,
  write,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { Fault } from './fault.ts'
import { type JournalRecord, type RecordBody, type Replay, readJournal } from './replay.ts'

/** The append-only record of a run. `append` resolves when the record is on the disk, not before. */
export interface Journal {
  readonly path: string
  append(body: RecordBody): Promise<JournalRecord>
  close(): Promise<void>
}

/** A record that is about to become a line. */
export type NumberedRecord = RecordBody & { seq: number; at: string }

export interface JournalOptions {
  /** Removes secrets from a record before it becomes a line. */
  mask?: <T>(record: T) => T
  /** Called around every write for each record in it; tests end the process here. */
  onPoint?: (point: 'before' | 'after', record: NumberedRecord) => void
}

/**
 * Starts a journal in a file that must not exist. The file appears with its whole first record or not at all, so that a
 * run which was killed before it began leaves nothing to stumble over.
 */
export function createJournal(path: string, first: RecordBody, options: JournalOptions = {}): Journal {
  const record: NumberedRecord = { seq: 1, at: new Date().toISOString(), ...first }
  const text = seal(record, options)
  const hash = chain('', text)
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  const fd = guarded(path, () => {
    options.onPoint?.('before', record)
    const opened = openSync(
      own,
      constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_APPEND | dsync,
      0o600,
    )
    try {
      writeSync(opened, line(text, hash))
      linkSync(own, path)
      // The name must survive a power cut, too: a directory entry is only durable once the directory is flushed.
      flushDirectory(dirname(path))
    } catch (error) {
      closeSync(opened)
      throw error
    } finally {
      unlinkSync(own)
    }
    options.onPoint?.('after', record)
    return opened
  })
  return appender(path, fd, 1, hash, options)
}

/**
 * Opens a journal to go on with it. A torn last line is cut off, kept beside the journal as `….torn-SEQ`, and told in
 * `replay.torn`; damage elsewhere throws Fault `journal-damaged`.
 */
export function reopenJournal(
  path: string,
  options: JournalOptions = {},
): { journal: Journal; replay: Replay } {
  const replay = readJournal(path)
  const fd = guarded(path, () => {
    const opened = openSync(path, constants.O_WRONLY | constants.O_APPEND | dsync)
    if (replay.torn) {
      const keep = `${path}.torn-${replay.records.length + 1}`
      if (!existsSync(keep)) writeFileSync(keep, replay.torn.bytes, { mode: 0o600 })
      ftruncateSync(opened, replay.torn.offset)
      fsyncSync(opened)
    }
    return opened
  })
  const last = replay.records.at(-1)
  return { journal: appender(path, fd, last?.seq ?? 0, last?.hash ?? '', options), replay }
}

// O_DSYNC makes one write one flush; without it (no such flag outside Linux) a record would only be in a cache.
const dsync = constants.O_DSYNC ?? constants.O_SYNC ?? 0

/**
 * Flushes that usually take longer than this go through Node's thread pool, so that a slow disk holds up no one else.
 * Shorter ones are done at once: the way through the pool and back takes half as long as the flush of a good disk.
 */
const longFlushMs = 5

interface Waiting {
  record: JournalRecord
  line: string
  resolve: (record: JournalRecord) => void
  reject: (fault: Fault) => void
}

function appender(
  path: string,
  fd: number,
  lastSeq: number,
  lastHash: string,
  options: JournalOptions,
): Journal {
  let seq = lastSeq
  let hash = lastHash
  let queue: Waiting[] = []
  let writing = false
  let broken: Fault | undefined
  let usualMs = 0
  let idle: (() => void)[] = []
  let open = true

  const flush = (): void => {
    if (broken) {
      for (const waiting of queue) waiting.reject(broken)
      queue = []
    }
    if (queue.length === 0) {
      writing = false
      for (const resolve of idle) resolve()
      idle = []
      return
    }
    writing = true
    const batch = queue
    queue = []
    if (options.onPoint) for (const { record } of batch) options.onPoint('before', record)
    const bytes = Buffer.from(batch.length === 1 ? batch[0]!.line : batch.map(w => w.line).join(''))
    const began = performance.now()
    const write = usualMs < longFlushMs ? writeWholeAtOnce : writeWhole
    write(fd, bytes, 0, error => {
      usualMs = 0.8 * usualMs + 0.2 * (performance.now() - began)
      if (error) {
        broken = unwritable(path, error)
        for (const waiting of batch) waiting.reject(broken)
      } else
        for (const { record, resolve } of batch) {
          options.onPoint?.('after', record)
          resolve(record)
        }
      flush()
    })
  }

  return {
    path,
    append(body) {
      if (broken) return Promise.reject(broken)
      seq += 1
      const record = { seq, at: now(), ...body } as JournalRecord
      const text = seal(record, options)
      hash = chain(hash, text)
      record.hash = hash
      return new Promise((resolve, reject) => {
        queue.push({ record, line: line(text, hash), resolve, reject })
        // Records made in the same turn of the event loop share one flush, as do all that come while a flush is under way:
        // Node empties the queue of microtasks, where steps go on, before it runs this.
        if (!writing) {
          writing = true
          process.nextTick(flush)
        }
      })
    },
    async close() {
      if (writing) await new Promise<void>(resolve => idle.push(resolve))
      // A second close would close whatever file has been given this number since.
      if (!open) return
      open = false
      closeSync(fd)
      broken = unwritable(path, new Error('the journal is closed'))
    },
  }
}

let second = Number.NaN
let secondText = ''

/** The time as ISO 8601 with milliseconds; `toISOString` once a second, because it costs as much as the hash. */
function now(): string {
  const ms = Date.now()
  if (Math.floor(ms / 1000) !== second) {
    second = Math.floor(ms / 1000)
    secondText = new Date(ms).toISOString().slice(0, -4)
  }
  return `${secondText}${String(ms % 1000).padStart(3, '0')}Z`
}

function seal(record: object, options: JournalOptions): string {
  return JSON.stringify(options.mask ? options.mask(record) : record)
}

function line(text: string, hash: string): string {
  return `${text.slice(0, -1)},"hash":"${hash}"}\n`
}

/** The hash of a line: over the hash before it and its own text without the hash. 32 hex digits of SHA-256. */
export function chain(before: string, text: string): string {
  return digest('sha256', before + text).slice(0, 32)
}

function writeWhole(fd: number, bytes: Buffer, from: number, settled: (error: Error | null) => void): void {
  write(fd, bytes, from, bytes.length - from, null, (error, written) => {
    if (error) settled(error)
    else if (from + written < bytes.length) writeWhole(fd, bytes, from + written, settled)
    else settled(null)
  })
}

function writeWholeAtOnce(
  fd: number,
  bytes: Buffer,
  from: number,
  settled: (error: Error | null) => void,
): void {
  try {
    for (let at = from; at < bytes.length; ) at += writeSync(fd, bytes, at)
  } catch (error) {
    settled(error as Error)
    return
  }
  settled(null)
}

/** Flushes a directory, so that names created in it survive a power cut. */
export function flushDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function guarded<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw error instanceof Fault ? error : unwritable(path, error)
  }
}

function unwritable(path: string, cause: unknown): Fault {
  const code = (cause as NodeJS.ErrnoException).code
  const remedies: Record<string, string> = {
    ENOSPC: 'Free space on that disk, then run `recover resume`',
    EROFS: 'Make the file system writable or set XDG_STATE_HOME to one that is, then run `recover resume`',
    EACCES: 'Give yourself write permission there, then run `recover resume`',
    EEXIST: 'A run of that name exists; run `recover resume`',
  }
  return new Fault({
    code: 'journal-unwritable',
    blame: 'operator',
    message: `cannot write the journal ${path}${code ? ` (${code})` : ''}; nothing was changed after its last record`,
    remedy: remedies[code ?? ''] ?? 'See the cause; then run `recover resume`',
    cause,
  })
}
