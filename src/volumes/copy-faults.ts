import { Fault } from '../runbook/fault.ts'
import { copyRefusals, givable } from './programs.ts'

/** What an end of the copying program means for a claim; undefined where the code is no word of its own. */
export function copyFault(claim: string, exitCode: number, said: string): Fault | undefined {
  const message = `the files of ${claim} were not copied: ${said}; the old disk is untouched`
  switch (exitCode) {
    case copyRefusals.destinationNotOurs:
      return new Fault({
        code: 'copy-destination-not-ours',
        blame: 'operator',
        message,
        remedy:
          'Find out who wrote to the new disk. If nothing on it is needed, delete its claim (kubectl delete pvc), then run `recover resume`',
      })
    case copyRefusals.destinationTooSmall:
    case copyRefusals.destinationFull:
      return new Fault({
        code: 'copy-destination-full',
        blame: 'operator',
        message,
        remedy:
          'Make room: let the claim ask for more in Git and expand it, or free space on the NAS; then run `recover resume`, which goes on where it stopped',
      })
    case copyRefusals.attributesRefused:
      return new Fault({
        code: 'copy-loses-attributes',
        blame: 'operator',
        message,
        remedy: `Look in the log of the copy which files have ACLs or attributes. If they may be lost, say so in recover.yaml: \`giveUp: { ${claim}: [${givable.join(', ')}] }\`; if not, let the claim have a class of LUNs. Then run \`recover resume\``,
      })
    case copyRefusals.incomplete:
    case copyRefusals.differs:
    case copyRefusals.sourceEmpty:
      return new Fault({
        code: 'copy-incomplete',
        blame: 'host',
        message,
        remedy:
          'Look at the Job’s log for the files that it names; the clone can be mounted and looked at. Then run `recover resume`',
      })
    case copyRefusals.keepsFailing:
      return new Fault({
        code: 'copy-fails',
        blame: 'host',
        message,
        remedy:
          'Look at the NAS and at the node’s kernel log (a lost session, a disk that fails); then run `recover resume`, which goes on where it stopped',
      })
  }
  return undefined
}
