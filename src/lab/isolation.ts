import { Socket } from 'node:net'
import { Fault } from '../runbook/fault.ts'

/**
 * From now on this process can connect to this machine's loopback only. A rehearsal must not reach a real machine even
 * if an address slipped through, so the refusal sits below every client library: at the socket.
 */
export function onlyLoopback(): () => void {
  const original = Socket.prototype.connect
  const guarded = function (this: Socket, ...args: unknown[]) {
    const target = addressOf(args)
    if (target !== undefined && !isLoopback(target)) {
      this.destroy()
      throw new Fault({
        code: 'rehearsal-would-leave',
        blame: 'bug',
        message: `a rehearsal tried to connect to ${target}, which is not the lab; it was refused`,
        remedy: 'Report it: something in the rehearsal uses a real address',
      })
    }
    return (original as (...a: unknown[]) => Socket).apply(this, args)
  }
  Socket.prototype.connect = guarded as typeof original
  return () => {
    Socket.prototype.connect = original
  }
}

/** The host that a connect call names; undefined for a local socket file. */
function addressOf(args: unknown[]): string | undefined {
  // Node hands on its own normalised arguments as one array.
  const [first, second] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args
  if (typeof first === 'object' && first !== null) {
    const { host, path } = first as { host?: string; path?: string }
    return path === undefined ? (host ?? 'localhost') : undefined
  }
  if (typeof first === 'number') return typeof second === 'string' ? second : 'localhost'
  return undefined
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
