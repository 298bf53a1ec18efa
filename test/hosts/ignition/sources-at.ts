import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Serves files by path until the test is over; what begins with `to:` leads elsewhere. */
export async function serverOf(
  context: { onTestFinished(end: () => unknown): void },
  files: Record<string, string | Buffer>,
): Promise<string> {
  const server = createServer((request, response) => {
    const file = files[request.url ?? '']
    const to = typeof file === 'string' && file.startsWith('to:') ? file.slice(3) : undefined
    response.writeHead(file === undefined ? 404 : to ? 302 : 200, to ? { location: to } : {})
    response.end(file ?? '')
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  context.onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
