import { createHash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { Agent, buildConnector, request } from 'undici'

/** Where requests go instead of where their names lead: a lab's ingress. */
export interface WebRoute {
  address: string
  port: number
  certificateAuthority: string
}

/** Who may answer: whoever the system's authorities vouch for, one certificate, one authority, or anybody. */
export type Trust =
  | { by: 'system' }
  | { by: 'fingerprint'; sha256: string }
  | { by: 'authority'; pem: string }
  | { by: 'nobody' }

/** A request as a browser would make it, and where it goes when the name's own address is not to be used. */
export interface WebQuestion {
  url: string
  /** Address to connect to; the URL's host stays in the Host header and in TLS. */
  connect?: { address: string; port: number }
  trust: Trust
}

/** What came back; status 0 when nothing did, and `why` says what happened. */
export interface WebAnswer {
  status: number
  headers: Record<string, string>
  text: string
  why: string
}

/** Asks addresses from outside the cluster. Never throws for what the other side does. */
export interface Web {
  get(question: WebQuestion, signal: AbortSignal): Promise<WebAnswer>
  close(): Promise<void>
}

/** Bytes of an answer that are read. */
const readAtMost = 1024 * 1024

/**
 * Asks addresses as a browser would, and says what came back.
 * @param route every request goes there and must be answered by its certificate: in a lab nobody else answers
 */
export function connectWeb(route?: WebRoute): Web {
  const agents = new Set<Agent>()
  return {
    async get(question, signal) {
      const wanted = new URL(question.url)
      const agent = agentFor(question, route)
      agents.add(agent)
      try {
        // The lab's ingress speaks TLS alone.
        const target = route ? `https://${wanted.host}${wanted.pathname}${wanted.search}` : question.url
        const response = await request(target, {
          dispatcher: agent,
          headers: { host: wanted.host, 'user-agent': 'recover' },
          signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
        })
        const text = await textOf(response.body)
        return {
          status: response.statusCode,
          headers: Object.fromEntries(
            Object.entries(response.headers).map(([name, value]) => [name, String(value ?? '')]),
          ),
          text,
          why: `it answers ${response.statusCode} (${text.trim().slice(0, 120)})`,
        }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        const { code, message } = error as { code?: string; message: string }
        return { status: 0, headers: {}, text: '', why: message || code || 'it does not answer' }
      } finally {
        agents.delete(agent)
        await agent.destroy()
      }
    },
    async close() {
      await Promise.all([...agents].map(a => a.destroy()))
    },
  }
}

/** One connection for each question: a certificate that was renewed since is seen, and none is trusted for another's sake. */
function agentFor({ url, connect, trust }: WebQuestion, route: WebRoute | undefined): Agent {
  const to = route ?? connect
  const base = buildConnector({
    timeout: 5_000,
    ...(route
      ? { ca: route.certificateAuthority }
      : trust.by === 'authority'
        ? { ca: trust.pem }
        : trust.by === 'system'
          ? {}
          : { rejectUnauthorized: false }),
  })
  const pinned = !route && trust.by === 'fingerprint' ? trust.sha256 : undefined
  return new Agent({
    connect(options, callback) {
      const { hostname } = new URL(url)
      base(
        {
          ...options,
          ...(to ? { hostname: to.address, host: to.address, port: String(to.port) } : {}),
          // An address is no name: TLS servers are not told one then.
          servername: /^[\d.]+$|:/.test(hostname) ? '' : hostname,
        },
        (error, socket) => {
          if (error) return callback(error, null)
          if (pinned !== undefined) {
            const { raw } = (socket as TLSSocket).getPeerCertificate?.() ?? {}
            const shown = raw ? createHash('sha256').update(raw).digest('hex') : 'none'
            if (shown !== pinned) {
              socket.destroy()
              return callback(
                new Error(`its certificate is another one than recover.yaml names: sha256:${shown}`),
                null,
              )
            }
          }
          callback(null, socket)
        },
      )
    },
  })
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= readAtMost) break
  }
  return Buffer.concat(chunks).subarray(0, readAtMost).toString('utf8')
}
