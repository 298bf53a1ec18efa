import { Fault } from '../runbook/fault.ts'
import { restoreRefusals } from './restore-program.ts'

/** What an end of the restoring program means for a claim; undefined where the code is no word of its own. */
export function restoreFault(claim: string, exitCode: number, said: string): Fault | undefined {
  const message = `${claim} was not restored: ${said}; its application was not started`
  switch (exitCode) {
    case restoreRefusals.destinationNotOurs:
      return new Fault({
        code: 'restore-destination-not-ours',
        blame: 'operator',
        message,
        remedy:
          'Find out who wrote to the new disk. If nothing on it is needed, delete its claim (kubectl delete pvc), then run `recover resume`',
      })
    case restoreRefusals.destinationTooSmall:
      return new Fault({
        code: 'restore-destination-full',
        blame: 'operator',
        message,
        remedy: 'Let the claim ask for more in Git and expand it; then run `recover resume`',
      })
    case restoreRefusals.repositoryRefuses:
    case restoreRefusals.snapshotEmpty:
      return new Fault({
        code: 'restore-source-unusable',
        blame: 'operator',
        message,
        remedy:
          'See that the repository can be reached from the nodes, that its password is right, and which folder the snapshot has (restic ls ID); correct it under backups in recover.yaml, then run `recover resume --accept cluster-file`',
      })
    case restoreRefusals.incomplete:
    case restoreRefusals.differs:
      return new Fault({
        code: 'restore-incomplete',
        blame: 'host',
        message,
        remedy:
          'Look at the Job’s log; `restic check --read-data` says whether the repository is whole. Name another snapshot in recover.yaml, or run `recover resume` to try again',
      })
  }
  return undefined
}
