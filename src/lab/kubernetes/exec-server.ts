import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { PodProgramEnd } from '../nodes/nodes.ts'
import { dig, digList } from './controllers/context.ts'
import { StatusError } from './status-error.ts'
import type { ObjectStore } from './store.ts'
import type { Stored } from './stored.ts'

/** Runs a command in a container; undefined when it has no such program. */
export type PodRunner = (
  store: ObjectStore,
  pod: Stored,
  container: string,
  command: string[],
) => Promise<PodProgramEnd | undefined>

const protocol = 'v5.channel.k8s.io'

/** The first byte of each message. */
const channels = { stdout: 1, stderr: 2, end: 3 } as const

/**
 * `exec` of the lab's API server, by the WebSocket protocol of kubectl: each message begins with the number of its
 * channel, the last one is a Status with the exit code.
 */
export class ExecServer {
  private readonly sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: offered => (offered.has(protocol) ? protocol : false),
  })
  private readonly run: PodRunner

  constructor(run: PodRunner) {
    this.run = run
  }

  /** Answers a request to upgrade, which has been admitted. Throws StatusError for what is refused before. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, store: ObjectStore): void {
    const url = new URL(request.url ?? '/', 'https://kubernetes')
    const [, namespace = '', name = ''] =
      /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/exec$/.exec(url.pathname) ?? []
    if (name === '')
      throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    const pod = store.get({ resource: store.kind('Pod'), namespace, name })
    const container = containerOf(pod, url.searchParams.get('container'))
    const command = url.searchParams.getAll('command')
    if (command.length === 0) throw new StatusError(400, 'BadRequest', 'you must specify at least 1 command')
    if (!(request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/).includes(protocol))
      throw new StatusError(400, 'BadRequest', `unable to upgrade: no matching protocol; this is ${protocol}`)
    this.sockets.handleUpgrade(request, socket, head, async line => {
      const end = await this.run(store, pod, container, command)
      const send = (channel: number, text: string) =>
        line.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]))
      if (end?.stdout) send(channels.stdout, end.stdout)
      if (end?.stderr) send(channels.stderr, end.stderr)
      send(channels.end, JSON.stringify(end ? statusOf(end.exit) : notFound(command)))
      line.close()
    })
  }

  close(): void {
    this.sockets.close()
  }
}

/** As the kubelet tells that a command ended. */
function statusOf(exit: number): object {
  if (exit === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: error executing command, exit code ${exit}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exit) }] },
  }
}

/** As the container runtime tells that there is no such program. */
function notFound([program]: string[]): object {
  const message = `error executing command in container: failed to exec in container: exec: "${program}": executable file not found in $PATH`
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  }
}

function containerOf(pod: Stored, asked: string | null): string {
  const names = digList(pod, 'spec', 'containers').map(c => String(c.name))
  const name = asked ?? names[0] ?? ''
  if (!names.includes(name))
    throw new StatusError(400, 'BadRequest', `container ${name} is not valid for pod ${pod.metadata.name}`)
  const running = digList(pod, 'status', 'containerStatuses').some(
    c => c.name === name && dig(c, 'state', 'running') !== undefined,
  )
  if (!running)
    throw new StatusError(
      500,
      'InternalError',
      `unable to upgrade connection: container not found ("${name}")`,
    )
  return name
}
