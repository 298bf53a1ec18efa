import { createHash, type Hash, randomBytes } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { PassThrough, type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { request } from 'undici'
import { z } from 'zod'
import { Fault } from '../../runbook/fault.ts'
import type { Resource } from './config.ts'

/** What a config takes from elsewhere, as the kit keeps it for the day on which elsewhere is away. */
export interface KeptSource {
  url: string
  /** Its bytes, as they were fetched. */
  file: string
  bytes: number
  /** Of those bytes; also the file's name. */
  sha256: string
  /** Of what Ignition hashes, which is the contents unpacked. */
  sha512: string
  /** When it was fetched. */
  since: Date
}

/** One source in the kit: which bytes an address gave, and when. Holds no secret: see `whyNotKept`. */
const note = z.strictObject({
  url: z.string(),
  compression: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  /** Of the contents unpacked, which is what Ignition compares. */
  unpacked: z.strictObject({ sha256: z.string(), sha512: z.string() }),
  fetched: z.iso.datetime(),
})

/** One binary of k0s takes a quarter of this. */
const largest = 2 ** 30
const withinMs = 15 * 60_000

/**
 * What the kit has for a source. Undefined where it has nothing, where the bytes are not whole any more, and where they are
 * not those that the config asks for by its hash.
 * @param kit folder; undefined where recover.yaml names none
 */
export function keptSource(kit: string | undefined, resource: Resource): KeptSource | undefined {
  if (kit === undefined || !resource.source) return undefined
  const { file, folder } = placesIn(kit, resource)
  if (!existsSync(file)) return undefined
  const known = note.safeParse(jsonIn(file))
  if (!known.success) return undefined
  const { url, bytes, sha256, unpacked, fetched } = known.data
  const content = join(folder, `sha256-${sha256}`)
  if (url !== resource.source || !fits(resource, unpacked)) return undefined
  if (!existsSync(content) || statSync(content).size !== bytes || hashOfFile(content) !== sha256)
    return undefined
  return { url, file: content, bytes, sha256, sha512: unpacked.sha512, since: new Date(fetched) }
}

/**
 * Fetches a source into the kit, unless it is there. Nothing is kept of one that does not fit the hash in the config.
 * Throws Fault `kit-fetch-failed` or `ignition-source-hash-differs`.
 */
export async function keepSource(
  kit: string,
  resource: Resource & { source: string },
  what: string,
  signal: AbortSignal,
): Promise<{ kept: KeptSource; fresh: boolean }> {
  const before = keptSource(kit, resource)
  if (before) return { kept: before, fresh: false }
  const url = resource.source
  const { file, folder } = placesIn(kit, resource)
  mkdirSync(folder, { recursive: true })
  const beside = join(folder, `.new-${randomBytes(6).toString('hex')}`)
  try {
    const raw = measured()
    const unpacked = measured()
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(withinMs)])
      const body = await bodyOf(url, within)
      await pipeline(body, raw.through, createWriteStream(beside), { signal: within })
      const packed = resource.compression === 'gzip' ? [createGunzip()] : [new PassThrough()]
      await pipeline([createReadStream(beside), ...packed, unpacked.through, nowhere()])
    } catch (cause) {
      if (signal.aborted) throw signal.reason
      throw new Fault({
        code: 'kit-fetch-failed',
        blame: 'network',
        message: `${url} (${what}) could not be put into the kit: ${(cause as Error).message}`,
        remedy: 'Check the address and the network; what is in the kit already stays there',
        cause,
      })
    }
    const has = unpacked.hashes()
    if (!fits(resource, has))
      throw new Fault({
        code: 'ignition-source-hash-differs',
        blame: 'operator',
        message: `${url} (${what}) gives sha512-${has.sha512}, and the config asks for ${resource.verification?.hash}: the first boot would fail on it`,
        remedy: 'See whether what is there now is what you want; then write its hash into verification.hash',
      })
    const { sha256 } = raw.hashes()
    const record: z.infer<typeof note> = {
      url,
      compression: resource.compression ?? '',
      bytes: statSync(beside).size,
      sha256,
      unpacked: has,
      fetched: new Date().toISOString(),
    }
    renameSync(beside, join(folder, `sha256-${sha256}`))
    writeFileSync(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`)
    renameSync(`${file}.new`, file)
  } finally {
    rmSync(beside, { force: true })
  }
  const kept = keptSource(kit, resource)
  if (!kept) throw new Error(`${url} is not in the kit after it was put there`)
  return { kept, fresh: true }
}

/**
 * Whether an address answers from this computer, as far as Ignition would get: it follows redirections and gives up at any
 * other answer than success. Why it does not, when it does not.
 */
export async function whySourceIsAway(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const body = await bodyOf(url, AbortSignal.any([signal, AbortSignal.timeout(15_000)]))
    body.destroy()
    return undefined
  } catch (thrown) {
    if (signal.aborted) throw signal.reason
    return (thrown as Error).message
  }
}

/** The body of a successful answer; throws an Error that says what came instead. */
async function bodyOf(url: string, signal: AbortSignal, hops = 10): Promise<Readable> {
  const { statusCode, headers, body } = await request(url, { signal, headers: { 'user-agent': 'recover' } })
  // Whatever else happens to a body that nobody reads is nobody's business.
  body.on('error', () => {})
  const { location } = headers
  if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
    body.destroy()
    if (hops === 0) throw new Error('it leads from one address to the next without end')
    return bodyOf(new URL(location, url).href, signal, hops - 1)
  }
  if (statusCode === 200) return body
  body.destroy()
  throw new Error(`it answers ${statusCode}`)
}

function placesIn(kit: string, { source, compression }: Resource): { folder: string; file: string } {
  const folder = join(kit, 'ignition')
  const name = createHash('sha256')
    .update(`${compression ?? ''} ${source}`)
    .digest('hex')
  return { folder, file: join(folder, `source-${name.slice(0, 32)}.json`) }
}

/** Whether contents are those that a config asks for; it need not ask for any. */
function fits({ verification }: Resource, has: { sha256: string; sha512: string }): boolean {
  const hash = verification?.hash
  return !hash || hash === `sha512-${has.sha512}` || hash === `sha256-${has.sha256}`
}

/** Hashes what flows through, and ends the flow where it becomes too much. */
function measured() {
  const hashes: Record<'sha256' | 'sha512', Hash> = {
    sha256: createHash('sha256'),
    sha512: createHash('sha512'),
  }
  let bytes = 0
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes > largest) return done(new Error(`it is larger than ${largest} bytes`))
      hashes.sha256.update(chunk)
      hashes.sha512.update(chunk)
      done(null, chunk)
    },
  })
  return {
    through,
    hashes: () => ({ sha256: hashes.sha256.digest('hex'), sha512: hashes.sha512.digest('hex') }),
  }
}

function nowhere(): Transform {
  return new Transform({ transform: (_chunk, _encoding, done) => done() }).resume()
}

function hashOfFile(file: string): string {
  const hash = createHash('sha256')
  const chunk = Buffer.alloc(2 ** 20)
  const open = openSync(file, 'r')
  try {
    for (let read = readSync(open, chunk); read > 0; read = readSync(open, chunk))
      hash.update(chunk.subarray(0, read))
  } finally {
    closeSync(open)
  }
  return hash.digest('hex')
}

function jsonIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
