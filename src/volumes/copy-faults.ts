import { Fault } from '../runbook/fault.ts'
import { copyRefusals, givable } from './programs.ts'

/** The end of a copying program: its exit code, and its last words. */
export interface CopyEnd {
  exitCode: number
  said: string
}

/** Where a machine copies; `disk` is the name of the new LUN. */
export interface CopyOnHost {
  host: string
  unit: string
  folder: string
  disk: string
}

/**
 * What an end of the copying program means for a claim, in a Job or on a machine; undefined where the code is no word of
 * its own.
 */
export function copyFault(claim: string, { exitCode, said }: CopyEnd, on?: CopyOnHost): Fault | undefined {
  const message = `the files of ${claim} were not copied${on ? ` on ${on.host}` : ''}: ${said}; the old disk is untouched`
  switch (exitCode) {
    case copyRefusals.destinationNotOurs:
      return new Fault({
        code: 'copy-destination-not-ours',
        blame: 'operator',
        message,
        remedy: on
          ? `Find out who wrote to the new disk. If nothing on it is needed, delete the LUN ${on.disk} in SAN Manager, then run \`recover resume\``
          : 'Find out who wrote to the new disk. If nothing on it is needed, delete its claim (kubectl delete pvc), then run `recover resume`',
      })
    case copyRefusals.destinationTooSmall:
    case copyRefusals.destinationFull:
      return new Fault({
        code: 'copy-destination-full',
        blame: 'operator',
        message,
        remedy: on
          ? `Make room: enlarge the LUN ${on.disk} in SAN Manager, to which its file system is grown, or free space on the NAS; then run \`recover resume\`, which goes on where it stopped`
          : 'Make room: let the claim ask for more in Git and expand it, or free space on the NAS; then run `recover resume`, which goes on where it stopped',
      })
    case copyRefusals.incomplete:
    case copyRefusals.differs:
    case copyRefusals.sourceEmpty:
      return new Fault({
        code: 'copy-incomplete',
        blame: 'host',
        message,
        remedy: on
          ? `Look at ${on.folder}/log on ${on.host} for the files that it names. Then run \`recover resume\``
          : 'Look at the Job’s log for the files that it names; the clone can be mounted and looked at. Then run `recover resume`',
      })
    case copyRefusals.keepsFailing:
      return new Fault({
        code: 'copy-fails',
        blame: 'host',
        message,
        remedy: `Look at the NAS and at the kernel log of ${on?.host ?? 'the node'} (a lost session, a disk that fails); then run \`recover resume\`, which goes on where it stopped`,
      })
    case copyRefusals.attributesRefused:
      // Only a share takes less than a file has, and a share is the destination of Jobs alone.
      if (on) return undefined
      return new Fault({
        code: 'copy-loses-attributes',
        blame: 'operator',
        message,
        remedy: `Look in the log of the copy which files have ACLs or attributes. If they may be lost, say so in recover.yaml: \`giveUp: { ${claim}: [${givable.join(', ')}] }\`; if not, let the claim have a class of LUNs. Then run \`recover resume\``,
      })
  }
  return undefined
}
