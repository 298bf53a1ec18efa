import { spawn } from 'node:child_process'
import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Fault } from '../runbook/fault.ts'
import type { MirrorCertificate } from './mirror-certificate.ts'

/** What is served in the place of a Git server, and to whom. */
export interface ServedMirror {
  /** The repository's own URL, http or https. */
  url: string
  /** The bare repository on this computer. */
  mirror: string
  /** Of this computer, where the cluster gets to. */
  address: string
  /** TCP port; 0 takes any. */
  port: number
  /** What a client must know. */
  token: string
  /** Shown for the repository's host, where the URL is https. */
  certificate: MirrorCertificate
}

const user = 'recover'

/**
 * A proxy that reaches one repository and nothing else: what is asked of that repository's server is answered here, from
 * the mirror, by git's own `upload-pack` (smart HTTP, of any version of its protocol). Nothing can be pushed. Clients name
 * a token, as a proxy's password; it ends TLS itself, with a certificate that they must have been told to trust.
 */
export class MirrorServer {
  private readonly served: ServedMirror
  private readonly proxyServer: Server
  private readonly tls: TlsServer
  private readonly sockets = new Set<Duplex>()
  private port: number

  constructor(served: ServedMirror) {
    this.served = served
    this.port = served.port
    const answer = (request: IncomingMessage, response: ServerResponse) => this.answer(request, response)
    // Never listens: it is handed the connections that the proxy was asked for.
    this.tls = createTlsServer({ cert: served.certificate.certificate, key: served.certificate.key }, answer)
    this.proxyServer = createServer((request, response) => {
      if (!this.isAllowed(request)) return refuse(response, 407, 'a password is wanted')
      const target = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : undefined
      if (target === undefined || !this.isPlace(target.protocol, authorityOf(target)))
        return refuse(response, 403, `nothing but ${shownUrl(served.url)} is served here`)
      request.url = `${target.pathname}${target.search}`
      answer(request, response)
    })
    this.proxyServer.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.keep(socket)
      // curl asks first without its password, and asks again only where it is told that the connection is over.
      const end = (status: string, header = '') =>
        socket.end(`HTTP/1.1 ${status}\r\n${header}Connection: close\r\nContent-Length: 0\r\n\r\n`)
      if (!this.isAllowed(request))
        return end('407 Proxy Authentication Required', 'Proxy-Authenticate: Basic realm="recover"\r\n')
      if (!this.isPlace('https:', (request.url ?? '').toLowerCase())) return end('403 Forbidden')
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      if (head.length > 0) socket.unshift(head)
      this.tls.emit('connection', socket)
    })
    for (const server of [this.proxyServer, this.tls]) {
      server.on('connection', (socket: Socket) => this.keep(socket))
      server.on('clientError', (_error, socket) => socket.destroy())
    }
    this.tls.on('tlsClientError', (_error, socket) => socket.destroy())
  }

  /** Begins to listen. Fault `mirror-port-taken`. */
  listen(): Promise<void> {
    const { address } = this.served
    return new Promise((resolve, reject) => {
      this.proxyServer.once('error', (cause: NodeJS.ErrnoException) =>
        reject(
          new Fault({
            code: 'mirror-port-taken',
            blame: 'operator',
            message: `cannot serve the kit’s mirror on ${address}:${this.port}: ${cause.code ?? cause.message}`,
            remedy:
              cause.code === 'EADDRNOTAVAIL'
                ? 'gitops.serve.address in recover.yaml must be an address of this computer'
                : 'End what listens there, or name another port (gitops.serve.port in recover.yaml)',
            cause,
          }),
        ),
      )
      this.proxyServer.listen(this.port, address, () => {
        this.port = (this.proxyServer.address() as AddressInfo).port
        resolve()
      })
    })
  }

  /** The proxy's URL with its password: a secret. */
  get proxy(): string {
    const { address, token } = this.served
    return `http://${user}:${token}@${address.includes(':') ? `[${address}]` : address}:${this.port}`
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise(resolve => this.proxyServer.close(resolve))
  }

  private keep(socket: Duplex): void {
    this.sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.sockets.delete(socket))
  }

  private isAllowed(request: IncomingMessage): boolean {
    const wanted = Buffer.from(`Basic ${Buffer.from(`${user}:${this.served.token}`).toString('base64')}`)
    const given = Buffer.from(request.headers['proxy-authorization'] ?? '')
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  }

  private isPlace(protocol: string, authority: string): boolean {
    const url = new URL(this.served.url)
    return protocol === url.protocol && authority === authorityOf(url)
  }

  /** One request of git's smart HTTP: the list of what there is, or a fetch. */
  private answer(request: IncomingMessage, response: ServerResponse): void {
    const asked = new URL(request.url ?? '/', 'http://mirror')
    const [, path = '', what = ''] = /^(.*)\/(info\/refs|git-upload-pack)$/.exec(asked.pathname) ?? []
    const isList = what === 'info/refs' && request.method === 'GET'
    const isOurs = repositoryPath(path) === repositoryPath(new URL(this.served.url).pathname)
    if (!isOurs) refuse(response, 404, `nothing but ${shownUrl(this.served.url)} is served here`)
    else if (isList && asked.searchParams.get('service') === 'git-upload-pack')
      this.uploadPack(request, response, true)
    else if (what === 'git-upload-pack' && request.method === 'POST')
      this.uploadPack(request, response, false)
    else refuse(response, 403, 'it is served for reading, by smart HTTP')
  }

  private uploadPack(request: IncomingMessage, response: ServerResponse, advertises: boolean): void {
    const { 'git-protocol': protocol = '', 'content-encoding': encoding } = request.headers
    const version = /^[\w=:]{1,100}$/.test(String(protocol)) ? String(protocol) : ''
    const git = spawn(
      'git',
      [
        // Argo CD asks for commits by their names.
        ...['-c', 'uploadpack.allowAnySHA1InWant=true', 'upload-pack', '--strict', '--stateless-rpc'],
        ...[...(advertises ? ['--advertise-refs'] : []), this.served.mirror],
      ],
      {
        env: { ...process.env, ...(version === '' ? {} : { GIT_PROTOCOL: version }) },
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    )
    response.on('close', () => git.kill())
    git.on('error', () => refuse(response, 500, 'there is no git on this computer'))
    // It ends as soon as it has what it wants, whatever still comes.
    git.stdin.on('error', () => {})
    const body = encoding === 'gzip' ? request.pipe(createGunzip()) : request
    body.on('error', () => response.destroy())
    body.pipe(git.stdin)
    response.setHeader(
      'Content-Type',
      `application/x-git-upload-pack-${advertises ? 'advertisement' : 'result'}`,
    )
    response.setHeader('Cache-Control', 'no-cache')
    git.stdout.once('data', (first: Buffer) => {
      // Version 2 of the protocol announces no service.
      if (advertises && !version.includes('version=2')) response.write('001e# service=git-upload-pack\n0000')
      response.write(first)
      git.stdout.pipe(response, { end: false })
    })
    git.on('close', code => {
      if (code !== 0 && !response.headersSent) return refuse(response, 500, 'git cannot read the mirror')
      // What was cut off must not look whole.
      if (code === 0) response.end()
      else response.destroy()
    })
  }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.removeHeader('Content-Type')
  response.writeHead(status, status === 407 ? { 'Proxy-Authenticate': 'Basic realm="recover"' } : {})
  response.end(`${why}\n`)
}

/** Host and port, as a client names them to a proxy. */
function authorityOf(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`
}

/** Argo CD takes a repository with and without `.git`, and whatever the case, for the same. */
function repositoryPath(path: string): string {
  return path
    .toLowerCase()
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
}

function shownUrl(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]+@/, '$1')
}
