import { readJournal } from '../../../src/runbook/replay.ts'
import { openRunFolder, stateFolder } from '../../../src/runbook/run-folder.ts'

const ourSteps = /^((kubernetes|bootstrap|applications)\/|volumes\/let-through)/
const ourSubjects = ['part', 'application', 'applicationSet', 'check']

/** Whether a step is of the phases at whose every record a run is killed; storage is let through for their sake. */
export function isOurs(step: string): boolean {
  return ourSteps.test(step)
}

/**
 * The records of those phases in the newest run's journal, in order, each by what it says: `intent bootstrap/apply[cilium]`.
 * Of other records there is an empty text, so that the record with sequence number N is the (N - 1)-th.
 * @param state XDG_STATE_HOME; that of this process by default
 */
export function recordsOfRun(state?: string): string[] {
  const env = state === undefined ? process.env : { XDG_STATE_HOME: state }
  return readJournal(openRunFolder(stateFolder(env)).journal).records.map(record => {
    if (record.kind === 'fan-out') return ourSubjects.includes(record.name) ? `fan-out ${record.name}` : ''
    return 'step' in record && isOurs(record.step) ? `${record.kind} ${record.step}` : ''
  })
}
