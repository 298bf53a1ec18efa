import type { WebSocket } from 'ws'
import { Fault } from '../runbook/fault.ts'
import { type ApiAccess, ApiLine } from './api-line.ts'
import { refusal } from './refusal.ts'

/** A command in a container of a pod that runs. */
export interface PodCommand {
  namespace: string
  pod: string
  /** The pod's first container when absent. */
  container?: string
  /** The program and its arguments; no shell between. */
  command: readonly string[]
}

/** How a command in a pod ended. */
export interface CommandEnd {
  exit: number
  stdout: string
  stderr: string
}

/** Runs commands in pods. What they do is theirs to answer for: nothing here keeps them from changing something. */
export interface PodCommands {
  /**
   * Throws Fault `exec-refused` when the cluster does not begin it, `exec-failed` when the container cannot run it,
   * `exec-broken` when its end is not heard of.
   */
  run(command: PodCommand, signal: AbortSignal): Promise<CommandEnd>
}

/** The newest of the subprotocols; it alone has a channel of its own for the end (kubelet, remotecommand). */
const protocol = 'v5.channel.k8s.io'

/** The first byte of each message. */
const channels = { stdout: 1, stderr: 2, end: 3 } as const

/** Bytes of each stream that are kept: a check reads a line or two. */
const keptBytes = 64 * 1024

/** Milliseconds for one command. */
const limitMs = 30_000

interface EndStatus {
  status?: string
  message?: string
  reason?: string
  details?: { causes?: { reason?: string; message?: string }[] }
}

/** Commands in the pods of one cluster, by the API's WebSocket protocol. Nothing is connected before the first. */
export function connectExec(access: ApiAccess): PodCommands & { close(): Promise<void> } {
  const line = new ApiLine(access)
  return {
    async run(command, signal) {
      const { server, tls, headers } = await line.whereabouts()
      // Few runs ask anything in a pod, and every start would load it.
      const { WebSocket } = await import('ws')
      const url = `${server.replace(/^http/, 'ws')}${pathOf(command)}`
      // WebSockets do not go over the line's own agent, which speaks for undici alone.
      const socket = new WebSocket(url, protocol, { ...tls, headers, handshakeTimeout: 10_000 })
      return listen(socket, command, AbortSignal.any([signal, AbortSignal.timeout(limitMs)]))
    },
    close: () => line.close(),
  }
}

function pathOf({ namespace, pod, container, command }: PodCommand): string {
  const query = new URLSearchParams([
    ...command.map((word): [string, string] => ['command', word]),
    ...(container === undefined ? [] : [['container', container] as [string, string]]),
    ['stdout', 'true'],
    ['stderr', 'true'],
  ])
  return `/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`
}

function listen(socket: WebSocket, { namespace, pod }: PodCommand, signal: AbortSignal): Promise<CommandEnd> {
  const kept: { stdout: Buffer; stderr: Buffer } = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
  const broken = (why: string, cause?: unknown) =>
    new Fault({
      code: 'exec-broken',
      blame: 'network',
      message: `a command in the pod ${namespace}/${pod} was begun and its end not heard of: ${why}`,
      remedy: 'It is tried again; look at the pod and at its node when that does not help',
      transient: true,
      ...(cause === undefined ? {} : { cause }),
    })
  return new Promise<CommandEnd>((resolve, reject) => {
    const stop = () =>
      reject(
        (signal.reason as Error | undefined)?.name === 'TimeoutError'
          ? broken(`it took longer than ${limitMs / 1000} s`)
          : signal.reason,
      )
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    socket.on('unexpected-response', (_, response) => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk as Buffer))
      response.on('end', () =>
        reject(refused(namespace, pod, response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'))),
      )
    })
    socket.on('message', (data: Buffer) => {
      const rest = data.subarray(1)
      if (data[0] === channels.stdout) kept.stdout = added(kept.stdout, rest)
      else if (data[0] === channels.stderr) kept.stderr = added(kept.stderr, rest)
      else if (data[0] === channels.end)
        try {
          const end = JSON.parse(rest.toString('utf8')) as EndStatus
          const exit = exitOf(end)
          if (exit === undefined) reject(failed(namespace, pod, end))
          else resolve({ exit, stdout: kept.stdout.toString('utf8'), stderr: kept.stderr.toString('utf8') })
        } catch (error) {
          reject(broken((error as Error).message, error))
        }
    })
    socket.on('error', error => reject(broken(error.message, error)))
    socket.on('close', () => reject(broken('the connection was closed')))
  }).finally(() => {
    // Whatever comes now is of no interest; an error without a listener would end the process.
    socket.removeAllListeners()
    socket.on('error', () => {})
    socket.terminate()
  })
}

function added(before: Buffer, more: Buffer): Buffer {
  return before.length >= keptBytes ? before : Buffer.concat([before, more]).subarray(0, keptBytes)
}

/** The exit code in the status that ends a command; undefined for an end that is none of the command's own. */
function exitOf({ status, reason, details }: EndStatus): number | undefined {
  if (status === 'Success') return 0
  const code = details?.causes?.find(c => c.reason === 'ExitCode')?.message
  return reason === 'NonZeroExitCode' && code !== undefined ? Number(code) : undefined
}

function failed(namespace: string, pod: string, { message, reason }: EndStatus): Fault {
  return new Fault({
    code: 'exec-failed',
    blame: 'operator',
    message: `a command in the pod ${namespace}/${pod} could not be run: ${message ?? reason ?? 'nobody says why'}`,
    remedy: 'Write the check with a program that the container has, by its path if need be',
  })
}

function refused(namespace: string, pod: string, status: number, body: string): Fault {
  let value: unknown = body.trim()
  try {
    value = JSON.parse(body)
  } catch {
    // Some refusals are plain text.
  }
  const doing = `run a command in the pod ${namespace}/${pod}`
  if (status === 401 || status === 429 || status === 503) return refusal(doing, { status, value })
  const said = (value as { message?: string } | undefined)?.message ?? String(value)
  return new Fault({
    code: 'exec-refused',
    blame: 'operator',
    message: `the cluster refused to ${doing} (${status}): ${said}`,
    remedy: 'Mend the names of the namespace, the pod or the container in the check, or let the pod run',
    transient: status >= 500,
  })
}
