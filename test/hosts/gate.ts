import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A door on loopback before a server, at which lines are counted, cut, held up and turned away. */
export interface Gate {
  port: number
  /** How many connections came to it. */
  came: number
  /** `drop`: taken and dropped at once, as by an overloaded sshd; `hold`: taken, and nothing passes. */
  mode: 'open' | 'drop' | 'hold'
  /** Everything that passes now ends without a word to either side but the end of the connection. */
  cut(): void
  /** As {@link cut}, as soon as so many bytes more have come in from whoever connected. */
  cutAfter(bytes: number): void
  close(): Promise<void>
}

export async function gateTo(port: number, host = '127.0.0.1'): Promise<Gate> {
  const passing = new Set<Socket>()
  let mode: Gate['mode'] = 'open'
  let left = Number.POSITIVE_INFINITY
  const server = createServer({ noDelay: true }, near => {
    gate.came += 1
    near.on('error', () => {})
    if (mode === 'drop') return near.destroy()
    const far = connect({ port, host, noDelay: true })
    far.on('error', () => near.destroy())
    const ends: [Socket, Socket][] = [
      [near, far],
      [far, near],
    ]
    for (const [from, to] of ends) {
      passing.add(from)
      from.on('data', (chunk: Buffer) => {
        to.write(chunk)
        if (from !== near) return
        left -= chunk.length
        if (left <= 0) gate.cut()
      })
      from.on('close', () => {
        passing.delete(from)
        to.destroy()
      })
      if (mode === 'hold') from.pause()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const gate: Gate = {
    port: (server.address() as AddressInfo).port,
    came: 0,
    get mode() {
      return mode
    },
    set mode(next) {
      mode = next
      for (const socket of passing) {
        if (next === 'hold') socket.pause()
        else socket.resume()
      }
    },
    cutAfter(bytes) {
      left = bytes
    },
    cut() {
      left = Number.POSITIVE_INFINITY
      for (const socket of passing) socket.destroy()
    },
    close() {
      gate.cut()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
  return gate
}
