import { Fault } from '../runbook/fault.ts'
import { type CopyEnd, type CopyOnHost, copyFault } from './copy-faults.ts'
import { hostCopyRefusals } from './host-copy.ts'

/** What an end of a copy that a machine makes means for a claim: of the copying itself, or of the disks around it. */
export function hostCopyFault(claim: string, { exitCode, said }: CopyEnd, on: CopyOnHost): Fault {
  const { host, unit, folder } = on
  const why = said || `the unit ended with exit code ${exitCode} and said nothing`
  const ofTheCopying = copyFault(claim, { exitCode, said: why }, on)
  if (ofTheCopying) return ofTheCopying
  const message = `the files of ${claim} were not copied on ${host}: ${why}; the old disk is untouched`
  switch (exitCode) {
    case hostCopyRefusals.loginFailed:
    case hostCopyRefusals.diskMissing:
      return new Fault({
        code: 'iscsi-login-failed',
        blame: 'host',
        message,
        remedy: `Look in SAN Manager who is connected and which hosts may be (iscsiadm’s exit 19: the NAS refuses; 8: it does not answer; 24: it wants a password), and at \`journalctl -u ${unit}\` on ${host}; then run \`recover resume\``,
        transient: true,
      })
    case hostCopyRefusals.notMounted:
      return new Fault({
        code: 'disk-not-mounted',
        blame: 'host',
        message,
        remedy: `Look at the kernel log of ${host}: it does not know that file system, or one is damaged. The snapshot on the NAS is as it was; then run \`recover resume\``,
      })
    case hostCopyRefusals.notLetGo:
      return new Fault({
        code: 'disk-not-let-go',
        blame: 'host',
        message,
        remedy: `Look with \`findmnt\` and \`iscsiadm -m session\` on ${host} what holds it; reboot ${host} if nothing else helps, then run \`recover resume\``,
      })
  }
  return new Fault({
    code: 'host-copy-failed',
    blame: 'host',
    message,
    remedy: `Look at \`journalctl -u ${unit}\` and ${folder}/log on ${host}; then run \`recover resume\`, which goes on where it stopped`,
    transient: true,
  })
}
