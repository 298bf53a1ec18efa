import { connect, type TLSSocket } from 'node:tls'
import { Agent } from 'undici'
import { Fault } from '../runbook/fault.ts'
import { fingerprintOf } from './shown-certificate.ts'

/** Whose certificate a connection must show. */
export interface Pin {
  /** SHA-256 of the certificate (DER): `sha256:` and hex. */
  fingerprint: string
  /** The Fault for a server that shows another one, whose fingerprint is given. */
  differs(seen: string): Fault
  /** Milliseconds until a connection must be there; at most 10,000, which is the default. */
  limitMs?: number | undefined
  /** How the agent holds its connections; undici's defaults otherwise. */
  pool?: Agent.Options
}

/** Connections to one server, which signs its own certificate: what makes it known is its fingerprint. */
export interface PinnedAgent {
  agent: Agent
  /**
   * Ends connections that are still being made. undici lets a request that was aborted go only when its connection is
   * there or has failed.
   */
  abandon(): void
}

/** A connection is only handed out after its certificate was compared: a password never reaches a stranger. */
export function pinnedAgent({ fingerprint, differs, limitMs, pool }: Pin): PinnedAgent {
  const patienceMs = Math.min(10_000, limitMs ?? 10_000)
  const connecting = new Set<TLSSocket>()
  const agent = new Agent({
    ...pool,
    connect: (options, callback) => {
      const socket = connect({
        host: options.hostname,
        port: Number(options.port || 443),
        rejectUnauthorized: false,
        ...(options.servername ? { servername: options.servername } : {}),
      })
      connecting.add(socket)
      socket.once('close', () => connecting.delete(socket))
      const timer = setTimeout(
        () => socket.destroy(new Error(`no TLS connection within ${patienceMs / 1000} s`)),
        patienceMs,
      )
      socket.once('secureConnect', () => {
        clearTimeout(timer)
        connecting.delete(socket)
        const seen = fingerprintOf(socket)
        if (seen === fingerprint) return callback(null, socket)
        socket.destroy()
        callback(new Error('certificate', { cause: differs(seen) }), null)
      })
      socket.once('error', error => {
        clearTimeout(timer)
        callback(error, null)
      })
    },
  })
  return {
    agent,
    abandon() {
      for (const socket of connecting) socket.destroy(new Error('given up'))
    },
  }
}

/** The Fault of a {@link Pin} in what a request threw, if it was the certificate that it failed at. */
export function pinFault(thrown: unknown): Fault | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause)
    if (error instanceof Fault) return error
  return undefined
}
