import { readFileSync } from 'node:fs'
import type { SshConnection } from '../../hosts/ssh.ts'
import { Failed, forever, type Host, killIfTold, must, on, say, sudo, upload, where } from './host.ts'

/** Has the leader's k0s restore an archive; its copy goes when that is over, if nobody is killed. */
export async function restore(line: SshConnection, leader: Host, archive: string): Promise<void> {
  const folder = (await must(line, leader, 'mktemp -d -- /tmp/XXXXXX')).trim()
  const path = `${folder}/k0s_backup.tar.gz`
  await upload(line, leader, readFileSync(archive), path)
  on(leader, 'restoring cluster state')
  const { code, stderr } = await line.run(sudo(`/opt/bin/k0s restore --data-dir=/var/lib/k0s ${path}`), {
    timeoutMs: forever,
  })
  killIfTold(stderr)
  await must(line, leader, sudo(`rm -f -- ${path}`))
  await must(line, leader, sudo(`rmdir -- ${folder}`))
  if (code === 0) return
  say('error', `${where(leader)}: restore failed: ${stderr.trim()}`)
  throw new Failed(`restore failed: command failed: process exited with status ${code}`, leader)
}
