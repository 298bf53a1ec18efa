import { connect } from 'node:net'

/** Milliseconds until a connection counts as not answered. */
const limitMs = 5_000

/** Whether somebody takes connections there; `why` says what happened otherwise. Sends nothing. */
export function takesConnections(
  { address, port }: { address: string; port: number },
  signal: AbortSignal,
): Promise<{ open: boolean; why: string }> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = connect({ host: address, port, timeout: limitMs })
    const stop = () => end(() => reject(signal.reason))
    const end = (settle: () => void) => {
      signal.removeEventListener('abort', stop)
      socket.destroy()
      settle()
    }
    signal.addEventListener('abort', stop, { once: true })
    socket.once('connect', () => end(() => resolve({ open: true, why: 'it takes connections' })))
    socket.once('timeout', () =>
      end(() => resolve({ open: false, why: `it does not answer within ${limitMs / 1000} s` })),
    )
    socket.once('error', error => end(() => resolve({ open: false, why: error.message })))
  })
}
