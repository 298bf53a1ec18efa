import { Fault } from '../runbook/fault.ts'
import { hostCopyRefusals } from './host-copy.ts'
import { copyRefusals } from './programs.ts'

/** What an end of a copy that a machine makes means for a claim; `disk` is the name of the new LUN. */
export function hostCopyFault(
  claim: string,
  { exitCode, said }: { exitCode: number; said: string },
  { host, unit, folder, disk }: { host: string; unit: string; folder: string; disk: string },
): Fault {
  const why = said || `the unit ended with exit code ${exitCode} and said nothing`
  const message = `the files of ${claim} were not copied on ${host}: ${why}; the old disk is untouched`
  switch (exitCode) {
    case copyRefusals.destinationNotOurs:
      return new Fault({
        code: 'copy-destination-not-ours',
        blame: 'operator',
        message,
        remedy: `Find out who wrote to the new disk. If nothing on it is needed, delete the LUN ${disk} in SAN Manager, then run \`recover resume\``,
      })
    case copyRefusals.destinationTooSmall:
    case copyRefusals.destinationFull:
      return new Fault({
        code: 'copy-destination-full',
        blame: 'operator',
        message,
        remedy: `Make room: enlarge the LUN ${disk} in SAN Manager, to which its file system is grown, or free space on the NAS; then run \`recover resume\`, which goes on where it stopped`,
      })
    case copyRefusals.incomplete:
    case copyRefusals.differs:
    case copyRefusals.sourceEmpty:
      return new Fault({
        code: 'copy-incomplete',
        blame: 'host',
        message,
        remedy: `Look at ${folder}/log on ${host} for the files that it names. Then run \`recover resume\``,
      })
    case copyRefusals.keepsFailing:
      return new Fault({
        code: 'copy-fails',
        blame: 'host',
        message,
        remedy: `Look at the NAS and at the kernel log of ${host} (a lost session, a disk that fails); then run \`recover resume\`, which goes on where it stopped`,
      })
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
