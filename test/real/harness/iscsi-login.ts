import { connect, type Socket } from 'node:net'
import type { NasReader } from '../../../src/nas/nas.ts'
import { until } from './commands.ts'

/**
 * Logs in to a target as an initiator does (RFC 7143, 11.12), without the kernel: one login request straight to the full
 * feature phase. Gives the connection, which is the session, or undefined where the target refuses it.
 */
export function iscsiLogin(portal: string, target: string, initiator: string): Promise<Socket | undefined> {
  const [host = '', port = ''] = portal.split(':')
  const keys = { InitiatorName: initiator, SessionType: 'Normal', TargetName: target, AuthMethod: 'None' }
  const text = Buffer.from(
    Object.entries(keys)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
  )
  const header = Buffer.alloc(48)
  // Login request, immediate; transit from operational negotiation to the full feature phase.
  header.writeUInt16BE(0x4387, 0)
  header.writeUIntBE(text.length, 5, 3)
  // A random ISID, so that sessions do not end each other.
  header[8] = 0x80
  header.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), 10)
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), timeout: 10_000 })
    socket.once('connect', () => socket.write(Buffer.concat([header, text, Buffer.alloc(-text.length & 3)])))
    let answer = Buffer.alloc(0)
    socket.on('data', chunk => {
      answer = Buffer.concat([answer, chunk])
      if (answer.length < 48) return
      // Status class 0 is success; 3, for one, is a target that is offline.
      if (answer[36] === 0) return resolve(socket)
      socket.destroy()
      resolve(undefined)
    })
    socket.once('timeout', () => reject(new Error(`${portal} does not answer a login`)))
    socket.once('error', reject)
    socket.once('close', () => resolve(undefined))
  })
}

/** Initiators that log in to the targets of a NAS, each by the LUN that it wants, and out again. */
export function initiatorsOf(nas: Pick<NasReader, 'targets'>, portal: string) {
  const sockets = new Map<string, Socket>()
  const leading = async (lun: string) =>
    (await nas.targets()).find(target => target.mappings.some(m => m.lun === lun))!
  return {
    /** Whether it was let in. */
    async login(lun: string, initiator: string): Promise<boolean> {
      const socket = await iscsiLogin(portal, (await leading(lun)).iqn, initiator)
      if (socket) sockets.set(`${lun} ${initiator}`, socket)
      return socket !== undefined
    },
    /** Resolves when the NAS, too, knows that it is gone. */
    async logout(lun: string, initiator: string): Promise<void> {
      sockets.get(`${lun} ${initiator}`)?.destroy()
      await until(`${initiator} to be gone`, 180_000, async () =>
        (await leading(lun)).sessions.every(s => s.initiator !== initiator) ? true : undefined,
      )
    },
    /** Ends all connections at once. */
    end(): void {
      for (const socket of sockets.values()) socket.destroy()
    },
  }
}
