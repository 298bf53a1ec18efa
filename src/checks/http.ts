import { Agent, request } from 'undici'

/** Where requests go instead of where their names lead: a lab's ingress. */
export interface WebRoute {
  address: string
  port: number
  certificateAuthority: string
}

/**
 * Asks an address as a browser would, and says what came back. Never throws for what the other side does.
 * @param route sends every request there, with its own name in the Host header and in TLS
 */
export function connectWeb(route?: WebRoute): {
  get(url: string, signal: AbortSignal): Promise<{ status: number; text: string; why: string }>
  close(): Promise<void>
} {
  const agents = new Map<string, Agent>()
  const agentFor = (host: string): Agent => {
    const known = agents.get(host)
    if (known) return known
    const agent = new Agent({
      connect: {
        timeout: 5_000,
        ...(route ? { ca: route.certificateAuthority } : {}),
      },
    })
    agents.set(host, agent)
    return agent
  }
  return {
    async get(url, signal) {
      const wanted = new URL(url)
      const target = route ? `https://${route.address}:${route.port}${wanted.pathname}${wanted.search}` : url
      try {
        const response = await request(target, {
          dispatcher: agentFor(wanted.host),
          headers: { host: wanted.host, 'user-agent': 'recover' },
          signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
        })
        const text = await response.body.text()
        return {
          status: response.statusCode,
          text,
          why: `it answers ${response.statusCode} (${text.trim().slice(0, 120)})`,
        }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        const { code, message } = error as { code?: string; message: string }
        return { status: 0, text: '', why: message || code || 'it does not answer' }
      }
    },
    async close() {
      await Promise.all([...agents.values()].map(a => a.destroy()))
    },
  }
}
