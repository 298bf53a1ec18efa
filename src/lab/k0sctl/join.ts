import { gunzipSync } from 'node:zlib'
import type { SshConnection } from '../../hosts/ssh.ts'
import { Failed, forever, type Host, must, on, sudo, temporary } from './host.ts'
import { isReady } from './session.ts'

/** From the worker itself, with the way in that its token holds: a kubeconfig, packed. */
export async function reachesApi(line: SshConnection, host: Host, token: string): Promise<void> {
  on(host, 'validating api connection using join token')
  const kubeconfig = gunzipSync(Buffer.from(token.trim(), 'base64')).toString()
  const path = await temporary(line, host, kubeconfig)
  const command = sudo(`/opt/bin/k0s kubectl get --raw=/version --kubeconfig=${path}`)
  const end = Date.now() + patienceMs
  for (;;) {
    const { code, stderr } = await line.run(command, { timeoutMs: forever })
    if (code === 0) break
    if (Date.now() > end)
      throw new Failed(
        `connectivity check failed: context deadline exceeded\nfailed to connect to kubernetes api using the join token - check networking: command result: process finished with error: Process exited with status ${code} (${stderr.trim()})`,
        host,
      )
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  await must(line, host, sudo(`rm -f ${path}`))
}

// Two minutes with the real one; nothing in a lab gets ready by waiting longer.
const patienceMs = 3_000

/** Waits for a node as long as the lab's k0sctl has patience. */
export async function becomesReady(line: SshConnection, leader: Host, node: string): Promise<boolean> {
  await must(line, leader, sudo('/opt/bin/k0s kubectl get --raw=/readyz'))
  const end = Date.now() + patienceMs
  while (Date.now() < end) {
    if (await isReady(line, node)) return true
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  return false
}
