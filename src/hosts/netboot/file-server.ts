import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { Fault } from '../../runbook/fault.ts'
import { type Patch, patching } from './patch.ts'

/** A file of this computer; some of its bytes may be other ones. */
export interface FileContent {
  file: string
  patches?: readonly Patch[]
}

/** Something that is served under an address of its own. */
export interface Offering {
  /** Last part of the address: `vmlinuz`, `4593.2.5/flatcar_production_image.bin.bz2`. */
  name: string
  /** A text is made anew for each request. */
  content: FileContent | { text: (peer: string) => string | Buffer }
  /** It holds a secret: given whole once, then no more. */
  once?: boolean
  /** MAC addresses of the machine that may have it, in lower case; anybody who knows the address, when absent. */
  macs?: readonly string[] | undefined
  /** Network address of the machine that may have it. */
  peer?: string | undefined
}

export interface Offered {
  readonly url: string
  /** How often it was given whole. */
  readonly given: number
  withdraw(): void
}

interface Entry extends Offering {
  given: number
  /** A secret is on its way to somebody. */
  giving: boolean
}

/**
 * Files for machines that boot, over HTTP (a firmware and iPXE speak nothing better without keys of ours). Every address
 * has a random part that nobody can guess. Answers GET and HEAD, and single ranges.
 *
 * Ignition asks for ever while it gets 5xx, and gives the boot up for good at any 4xx: a secret that was given already
 * is therefore answered with 503 as long as it is offered, so that a machine that asks twice waits instead of failing.
 */
export class FileServer {
  private readonly server: Server
  private readonly entries = new Map<string, Entry>()
  private readonly sockets = new Set<Socket>()
  private readonly macOf: (address: string) => Promise<string | undefined>
  private readonly address: string
  private listening: Promise<void> | undefined
  private port: number

  /**
   * @param port TCP port; 0 takes any
   * @param macOf the neighbour's MAC address behind a network address; undefined where it is none
   */
  constructor(address: string, port: number, macOf = neighbour) {
    this.address = address
    this.port = port
    this.macOf = macOf
    this.server = createServer((request, response) => {
      this.answer(request, response).catch(() => response.destroy())
    })
    this.server.on('connection', socket => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
    })
  }

  /** Begins to listen, once. Fault `netboot-port-taken`. */
  listen(): Promise<void> {
    this.listening ??= new Promise<void>((resolve, reject) => {
      this.server.once('error', (cause: NodeJS.ErrnoException) => {
        this.listening = undefined
        reject(
          new Fault({
            code: 'netboot-port-taken',
            blame: 'operator',
            message: `cannot serve files on ${this.address}:${this.port}: ${cause.code ?? cause.message}`,
            remedy:
              cause.code === 'EADDRNOTAVAIL'
                ? 'netboot.address in recover.yaml must be an address of this computer'
                : 'End what listens there, or name another port (netboot.port in recover.yaml)',
            cause,
          }),
        )
      })
      this.server.listen(this.port, this.address, () => {
        this.port = (this.server.address() as AddressInfo).port
        resolve()
      })
    })
    return this.listening
  }

  get base(): string {
    const host = this.address.includes(':') ? `[${this.address}]` : this.address
    return `http://${host}:${this.port}`
  }

  /** Offers something until it is withdrawn. */
  offer(offering: Offering): Offered {
    return this.offerTree([offering])[0]!
  }

  /**
   * Offers several things below one address, as a mirror has them.
   * @param token part of the address that nobody can guess; a new one where it need not be found again by another process
   */
  offerTree(offerings: Offering[], token = randomBytes(16).toString('hex')): Offered[] {
    return offerings.map(offering => {
      const path = `/${token}/${offering.name}`
      const entry: Entry = { ...offering, given: 0, giving: false }
      this.entries.set(path, entry)
      return {
        url: `${this.base}${path}`,
        get given() {
          return entry.given
        },
        withdraw: () => {
          this.entries.delete(path)
        },
      }
    })
  }

  async close(): Promise<void> {
    this.entries.clear()
    if (!this.listening) return
    await this.listening.catch(() => undefined)
    for (const socket of this.sockets) socket.destroy()
    await new Promise(resolve => this.server.close(resolve))
    this.listening = undefined
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://a').pathname)
    const peer = plainAddress(request.socket.remoteAddress ?? '')
    const plain = (status: number, text: string) => {
      response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text) })
      response.end(request.method === 'HEAD' ? '' : text)
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'only GET and HEAD\n')
    const entry = this.entries.get(path)
    // A machine that nobody expects boots what it has: `exit` lets its firmware go on with the next device.
    if (!entry) return path.endsWith('.ipxe') ? plain(200, '#!ipxe\nexit\n') : plain(404, 'nothing here\n')
    const mac = entry.macs === undefined ? undefined : await this.macOf(peer)
    if (
      (mac !== undefined && !entry.macs?.includes(mac)) ||
      (entry.peer !== undefined && entry.peer !== peer)
    )
      return plain(403, 'not for this machine\n')
    if (entry.once && (entry.given > 0 || entry.giving)) {
      response.setHeader('retry-after', '5')
      return plain(503, 'it was given already\n')
    }
    const gives = request.method === 'GET'
    if (gives) entry.giving = true
    try {
      const whole = await this.send(entry, request, response, peer)
      if (whole && gives) entry.given += 1
    } finally {
      if (gives) entry.giving = false
    }
  }

  /** Sends it, and says whether all of it arrived. */
  private async send(
    { content, once }: Entry,
    request: IncomingMessage,
    response: ServerResponse,
    peer: string,
  ): Promise<boolean> {
    const bytes = 'text' in content ? Buffer.from(content.text(peer) as string) : undefined
    const { file, patches = [] } = content as FileContent
    const size = bytes?.length ?? (await stat(file)).size
    const range = once ? undefined : rangeOf(request.headers.range, size)
    if (range === 'unsatisfiable') {
      response.writeHead(416, { 'content-range': `bytes */${size}`, 'content-length': 0 })
      response.end()
      return false
    }
    const [from, to] = range ?? [0, size - 1]
    response.writeHead(range ? 206 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': Math.max(0, to - from + 1),
      'accept-ranges': once ? 'none' : 'bytes',
      'cache-control': 'no-store',
      ...(range ? { 'content-range': `bytes ${from}-${to}/${size}` } : {}),
    })
    if (request.method === 'HEAD' || size === 0) {
      response.end()
      return !range
    }
    if (bytes) {
      await new Promise<void>((resolve, reject) => {
        response.once('close', () =>
          response.writableFinished ? resolve() : reject(new Error('the line broke')),
        )
        response.end(bytes.subarray(from, to + 1))
      })
    } else await pipeline(createReadStream(file, { start: from, end: to }), patching(patches, from), response)
    return from === 0 && to === size - 1
  }
}

/** One range of bytes, both ends included; undefined where the whole was asked for. */
function rangeOf(header: string | undefined, size: number): [number, number] | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  if (match[1] === '') {
    const last = Number(match[2])
    return last === 0 ? 'unsatisfiable' : [Math.max(0, size - last), size - 1]
  }
  const from = Number(match[1])
  const to = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1)
  return from >= size || from > to ? 'unsatisfiable' : [from, to]
}

function plainAddress(address: string): string {
  return address.replace(/^::ffff:/, '')
}

/** MAC address of a neighbour in the same network, from the kernel's table; undefined where it is not known. */
async function neighbour(address: string): Promise<string | undefined> {
  try {
    const table = await readFile('/proc/net/arp', 'utf8')
    const line = table.split('\n').find(l => l.split(/\s+/)[0] === address)
    const mac = line?.split(/\s+/)[3]?.toLowerCase()
    return mac === undefined || mac === '00:00:00:00:00:00' ? undefined : mac
  } catch {
    return undefined
  }
}
