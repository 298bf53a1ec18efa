import { Socket as Datagrams } from 'node:dgram'
import { Socket } from 'node:net'
import { Fault } from '../runbook/fault.ts'

let inside = 0
let open: () => void = () => {}

/**
 * From now on this process can connect to this machine's loopback only, until every caller has left again. A rehearsal
 * must not reach a real machine even if an address slipped through, so the refusal sits below every client library: at
 * the socket. Refuses with Fault `rehearsal-would-leave`.
 */
export function onlyLoopback(): () => void {
  if (inside === 0) open = close()
  inside += 1
  let left = false
  return () => {
    if (left) return
    left = true
    inside -= 1
    if (inside === 0) open()
  }
}

function close(): () => void {
  const { connect } = Socket.prototype
  const { send, connect: aim } = Datagrams.prototype
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    const target = addressOf(args)
    if (target !== undefined && !isLoopback(target)) {
      this.destroy()
      throw wouldLeave(target)
    }
    return (connect as (...a: unknown[]) => Socket).apply(this, args)
  } as typeof connect
  const guarded = (original: unknown) =>
    function (this: Datagrams, ...args: unknown[]) {
      // The message or port comes first; without an address it is loopback's.
      const target = args.slice(1).find(arg => typeof arg === 'string')
      if (typeof target === 'string' && !isLoopback(target)) throw wouldLeave(target)
      return (original as (...a: unknown[]) => unknown).apply(this, args)
    }
  Datagrams.prototype.send = guarded(send) as typeof send
  Datagrams.prototype.connect = guarded(aim) as typeof aim
  return () => {
    Socket.prototype.connect = connect
    Datagrams.prototype.send = send
    Datagrams.prototype.connect = aim
  }
}

/** The host that a connect call names; undefined for a local socket file. Reads its arguments as Node does. */
function addressOf(args: unknown[]): string | undefined {
  // Node hands on its own normalised arguments as one array.
  const [first, second] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args
  if (typeof first === 'object' && first !== null) {
    const { host, path } = first as { host?: string; path?: string | null }
    // The agents of node:http set a path of null; only a path with something in it leads to a file.
    return path ? undefined : host || 'localhost'
  }
  // A text is a path unless it is a number, which is a port.
  if (typeof first === 'string' && !(Number(first) >= 0)) return undefined
  return typeof second === 'string' ? second : 'localhost'
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function wouldLeave(target: string): Fault {
  return new Fault({
    code: 'rehearsal-would-leave',
    blame: 'bug',
    message: `a rehearsal tried to connect to ${target}, which is not the lab; it was refused`,
    remedy: 'Report it: something in the rehearsal uses a real address',
  })
}
