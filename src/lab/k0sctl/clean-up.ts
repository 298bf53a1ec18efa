import type { SshConnection } from '../../hosts/ssh.ts'
import { forever, type Host, say, sudo, where } from './host.ts'

/** What each phase that ran does when the whole of it fails; k0s itself refuses to be reset while it runs. */
export async function cleanUp(
  run: string[],
  unready: Host[],
  line: (host: Host) => SshConnection,
): Promise<void> {
  const reset = async (of: Host[]) => {
    for (const host of of) {
      say('info', `${where(host)}: cleaning up`)
      const done = await line(host)
        .run(sudo('/opt/bin/k0s reset --data-dir=/var/lib/k0s'), { timeoutMs: forever })
        .catch(() => undefined)
      if (done?.code !== 0) say('warning', `${where(host)}: k0s reset failed`)
    }
  }
  const [controllers, workers] = [
    unready.filter(h => h.role !== 'worker'),
    unready.filter(h => h.role === 'worker'),
  ]
  for (const title of run) {
    if (!/^(?:Stage|Install) k0s binaries|^Initialize|^Install (?:controllers|workers)/.test(title)) continue
    say('info', `* Running clean-up for phase: ${title}`)
    if (title.startsWith('Initialize')) await reset(controllers.slice(0, 1))
    if (title === 'Install controllers') await reset(controllers.slice(1))
    if (title === 'Install workers') await reset(workers)
  }
}
