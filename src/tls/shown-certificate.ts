import { createHash } from 'node:crypto'
import { connect, type TLSSocket } from 'node:tls'

/** SHA-256 of the certificate (DER) that the other side shows: `sha256:` and hex. */
export function fingerprintOf(socket: TLSSocket): string {
  return `sha256:${createHash('sha256').update(socket.getPeerCertificate().raw).digest('hex')}`
}

/**
 * The fingerprint of the certificate that a server shows, whoever signed it. Nothing is sent to it. Undefined where no TLS
 * server answers within the limit.
 * @param url `https://ADDRESS:PORT`
 */
export function shownCertificate(url: string, limitMs = 3_000): Promise<string | undefined> {
  const { hostname, port } = new URL(url)
  return new Promise(resolve => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 443),
      rejectUnauthorized: false,
    })
    const end = (seen: string | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(seen)
    }
    const timer = setTimeout(() => end(undefined), limitMs)
    socket.once('secureConnect', () => end(fingerprintOf(socket)))
    socket.once('error', () => end(undefined))
  })
}
