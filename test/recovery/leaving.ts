import { appendFileSync } from 'node:fs'
import { connect } from 'node:net'

/**
 * Preloaded into every process of a rehearsal: tries again and again to connect to an address that is nobody's. Writes
 * a line `PROGRAM CODE` into the file LEAVING_LOG for the first refusal; a process that is never refused writes none.
 */
const program = (process.argv[1] ?? '').split('/').slice(-2).join('/')

const again = setInterval(() => {
  try {
    const socket = connect(9, '192.0.2.1')
    socket.on('error', () => {})
    socket.destroy()
  } catch (thrown) {
    clearInterval(again)
    appendFileSync(
      process.env.LEAVING_LOG ?? '/dev/null',
      `${program} ${(thrown as { code?: string }).code}\n`,
    )
  }
}, 5)
again.unref()
