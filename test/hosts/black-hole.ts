import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'

/** A port on loopback that takes no connection and refuses none, as an address behind which nothing is switched on. */
export interface BlackHole {
  port: number
  close(): Promise<void>
}

const listening = `
const server = require('node:net').createServer(() => {})
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => process.stdout.write(server.address().port + '\\n'))
`

/** A server that was frozen, with its queue full: the kernel drops whoever comes next. */
export async function blackHole(): Promise<BlackHole> {
  const child = spawn(process.execPath, ['-e', listening], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.stdout.once('data', text => resolve(Number(text)))
  })
  child.kill('SIGSTOP')
  const queue: Socket[] = []
  for (let full = false; !full; ) {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => {})
    queue.push(socket)
    full = await new Promise<boolean>(resolve => {
      socket.once('connect', () => resolve(false))
      setTimeout(() => resolve(true), 100)
    })
  }
  return {
    port,
    async close() {
      for (const socket of queue) socket.destroy()
      child.kill('SIGKILL')
      await new Promise(resolve =>
        child.exitCode === null && child.signalCode === null ? child.once('exit', resolve) : resolve(0),
      )
    },
  }
}
