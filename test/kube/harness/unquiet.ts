import { readFileSync } from 'node:fs'
import { Agent, createServer, type RequestOptions, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { ControlPlane } from './control-plane.ts'

/** What a busy API server says now and then to whoever asks much. */
interface Interruption {
  /** Every so many requests of these methods. */
  every: number
  methods: string[]
  code: number
  reason: string
  message: string
}

const interruptions: Interruption[] = [
  {
    every: 23,
    methods: ['GET', 'PATCH'],
    code: 429,
    reason: 'TooManyRequests',
    message: 'The request has been denied by a rate limiter, please try again later',
  },
  {
    every: 17,
    methods: ['PATCH'],
    code: 409,
    reason: 'Conflict',
    message:
      'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to the latest version and try again',
  },
  {
    every: 41,
    methods: ['GET', 'PATCH'],
    code: 500,
    reason: 'InternalError',
    message: 'Internal error occurred: etcdserver: request timed out',
  },
]

/**
 * Stands in front of an API server and says 429, 409 and 500 in between, each often and never twice in a row. Gives its
 * port, and how often it did.
 */
export async function unquiet(
  controlPlane: ControlPlane,
): Promise<{ port: number; said: Record<number, number>; close(): Promise<void> }> {
  const text = (name: string) => readFileSync(join(controlPlane.folder, name), 'utf8')
  const onward: RequestOptions = {
    agent: new Agent({ keepAlive: true }),
    ca: text('ca.crt'),
    cert: text('admin.crt'),
    key: text('admin.key'),
  }
  const said: Record<number, number> = {}
  const counts = interruptions.map(() => 0)
  const server = createServer({ cert: text('server.crt'), key: text('server.key') }, (asked, answer) => {
    const method = asked.method ?? ''
    for (const [i, { every, methods, code, reason, message }] of interruptions.entries()) {
      if (!methods.includes(method)) continue
      counts[i] = (counts[i] ?? 0) + 1
      if (counts[i]! % every !== 0) continue
      said[code] = (said[code] ?? 0) + 1
      asked.resume()
      answer.writeHead(code, { 'content-type': 'application/json' })
      answer.end(
        JSON.stringify({
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message,
          reason,
          code,
        }),
      )
      return
    }
    const { host: _, ...headers } = asked.headers
    const forwarded = request(
      `${controlPlane.server}${asked.url}`,
      { ...onward, method, headers },
      response => {
        answer.writeHead(response.statusCode ?? 502, response.headers)
        response.pipe(answer)
      },
    )
    forwarded.on('error', () => answer.destroy())
    asked.pipe(forwarded)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    said,
    close: () => {
      server.closeAllConnections()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
