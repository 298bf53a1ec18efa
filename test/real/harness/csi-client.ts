import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { protobufFields } from '../../../src/volumes/datastore/protobuf.ts'

/**
 * A message by the numbers of its fields: a text, a number or another message; a list for a field that is repeated, and
 * `map` for one of texts by texts.
 */
export interface CsiMessage {
  [field: number]: CsiValue | CsiValue[]
}
type CsiValue = string | number | CsiMessage | { map: Record<string, string> }

/** Refused by the driver; the code is gRPC's. */
export class CsiError extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** What a Kubernetes node or a sidecar is to a CSI driver: a client of its gRPC, by the few messages that the tests need. */
export interface CsiClient {
  /** Calls `Node/NodeStageVolume`; gives the answer's fields, each as often as it was sent. */
  call(method: string, message: CsiMessage, timeoutMs?: number): Promise<CsiAnswer>
  close(): void
}

/** The fields of an answer by their numbers, each as often as it was sent. */
export type CsiAnswer = Map<number, (bigint | Buffer)[]>

/** Connects to a driver's endpoint, `tcp://` without TLS. */
export function openCsi(address: string, port: number): CsiClient {
  let session: ClientHttp2Session | undefined
  const open = () => {
    if (session === undefined || session.closed || session.destroyed) {
      session = connect(`http://${address}:${port}`)
      // What it is about is told to whoever waits for a call.
      session.on('error', () => undefined)
    }
    return session
  }
  return {
    async call(method, message, timeoutMs = 180_000) {
      const { status, words, body } = await ask(
        open(),
        `/csi.v1.${method}`,
        framed(encode(message)),
        timeoutMs,
      )
      if (status !== 0) throw new CsiError(status, words)
      return fieldsOf(body)
    },
    close: () => session?.destroy(),
  }
}

/** A text among the fields of an answer, or of a message in one. */
export function textAt(answer: CsiAnswer, ...path: number[]): string {
  const last = at(answer, path)
  return Buffer.isBuffer(last) ? last.toString('utf8') : ''
}

/** A map of texts in an answer. */
export function mapAt(answer: CsiAnswer, ...path: number[]): Record<string, string> {
  const inner = path
    .slice(0, -1)
    .reduce((of, field) => fieldsOf((of.get(field)?.[0] as Buffer) ?? Buffer.alloc(0)), answer)
  const entries = (inner.get(path.at(-1)!) ?? []) as Buffer[]
  return Object.fromEntries(entries.map(fieldsOf).map(entry => [textAt(entry, 1), textAt(entry, 2)]))
}

/** One answer to one call (gRPC over HTTP/2: one message behind five bytes, and its status in the trailers). */
function ask(session: ClientHttp2Session, path: string, body: Buffer, timeoutMs: number) {
  return new Promise<{ status: number; words: string; body: Buffer }>((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    let said: Record<string, string | string[] | undefined> = {}
    stream.setTimeout(timeoutMs, () => stream.destroy(new Error(`no answer to ${path} for ${timeoutMs} ms`)))
    stream.on('response', headers => (said = { ...said, ...headers }))
    stream.on('trailers', headers => (said = { ...said, ...headers }))
    stream.on('data', chunk => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('close', () =>
      said['grpc-status'] === undefined
        ? reject(new Error(`${path} was answered with no status`))
        : resolve({
            status: Number(said['grpc-status']),
            words: decodeURIComponent(String(said['grpc-message'] ?? '')),
            body: Buffer.concat(chunks).subarray(5),
          }),
    )
    stream.end(body)
  })
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Wire format (protobuf.dev/programming-guides/encoding), as far as CSI's messages have it. */
function encode(message: CsiMessage): Buffer {
  return Buffer.concat(
    Object.entries(message).flatMap(([field, value]) =>
      [value].flat().flatMap(one => fieldsFor(Number(field), one)),
    ),
  )
}

function fieldsFor(field: number, value: CsiValue): Buffer[] {
  if (typeof value === 'number') return [varint(field * 8), varint(value)]
  if (typeof value === 'object' && 'map' in value)
    return Object.entries(value.map).flatMap(([key, text]) => fieldsFor(field, { 1: key, 2: text }))
  const bytes = typeof value === 'string' ? Buffer.from(value) : encode(value)
  return [varint(field * 8 + 2), varint(bytes.length), bytes]
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}

function fieldsOf(bytes: Buffer): CsiAnswer {
  const fields: CsiAnswer = new Map()
  for (const { number, value } of protobufFields(bytes))
    fields.set(number, [...(fields.get(number) ?? []), value])
  return fields
}

function at(answer: CsiAnswer, path: number[]): bigint | Buffer | undefined {
  const [field, ...rest] = path
  const value = answer.get(field!)?.[0]
  if (rest.length === 0 || value === undefined) return value
  return at(fieldsOf(value as Buffer), rest)
}
