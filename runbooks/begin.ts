import { loadCluster } from '../src/cluster/load.ts'
import type { Plan } from '../src/runbook/plan.ts'
import type { RunFolder } from '../src/runbook/run-folder.ts'
import { finalizeVolumes } from './finalize-volumes.ts'
import { inEarnest } from './in-earnest.ts'
import type { Asked } from './kit.ts'
import { clusterFileIn } from './rehearse.ts'
import { beginRun, bookOf, planRun, type RunResult, type SessionOptions } from './session.ts'

/** Plans the recovery of the real home: looks at everything, changes nothing. */
export async function planInEarnest(
  where: string,
  now: AbortSignal,
  only?: string[],
  waiting?: (titles: string[]) => void,
): Promise<Plan> {
  const cluster = loadCluster(clusterFileIn(where))
  const noFolder: RunFolder = { run: 'plan', path: '', journal: '' }
  const whereabouts = await inEarnest(cluster, noFolder)
  return whereabouts.secrets.mask.json(await planRun(cluster, whereabouts, now, bookOf(only), waiting))
}

/** Says what former runs left behind; changes nothing. */
export async function planFinalize(where: string, now: AbortSignal): Promise<Plan> {
  const cluster = loadCluster(clusterFileIn(where))
  const whereabouts = await inEarnest(cluster, { run: 'plan', path: '', journal: '' })
  return whereabouts.secrets.mask.json(await planRun(cluster, whereabouts, now, finalizeVolumes))
}

/** Deletes of what former runs left behind what the person has named. */
export function finalizeInEarnest(
  where: string,
  options: SessionOptions & { asked: Asked },
): Promise<RunResult> {
  return beginRun(clusterFileIn(where), inEarnest, 'real', { ...options, book: finalizeVolumes.id })
}

/** Recovers the real home. */
export function beginInEarnest(
  where: string,
  options: SessionOptions & { approve?: string; only?: string[] },
): Promise<RunResult> {
  return beginRun(clusterFileIn(where), inEarnest, 'real', options)
}
