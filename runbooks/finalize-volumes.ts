import { phase, runbook } from '../src/runbook/runbook.ts'
import { deleteOld } from './finalize/delete-old.ts'
import { listOld } from './finalize/list-old.ts'
import { reachNas } from './preflight/reach-nas.ts'

/** Deletes what former runs left behind, as far as a person names it. */
export const finalizeVolumes = runbook('finalize-volumes', 'Delete what former runs left behind', [
  phase('preflight', 'Preflight', [reachNas]),
  phase('finalize', 'Finalize', [listOld, deleteOld]),
])
