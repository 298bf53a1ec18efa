import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { loadCluster } from '../src/cluster/load.ts'
import { Fault } from '../src/runbook/fault.ts'
import type { Plan } from '../src/runbook/plan.ts'
import type { RunFolder } from '../src/runbook/run-folder.ts'
import { bookOf } from './books.ts'
import { clusterFileIn } from './cluster-file.ts'
import { finalizeVolumes } from './finalize-volumes.ts'
import { formerRuns } from './former-runs.ts'
import { inEarnest } from './in-earnest.ts'
import type { Asked } from './kit.ts'
import { planRun } from './plan-run.ts'
import { beginRun, type RunResult, type SessionOptions } from './session.ts'
import { syncVolumes } from './sync-volumes.ts'

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

/** What a person names of a living cluster: claims, and the way into it. */
export interface SyncQuestion {
  chosen: readonly string[]
  kubeconfig: string | undefined
  context: string | undefined
}

/** Says which claims of the living cluster would get new disks, and what stops meanwhile; changes nothing. */
export async function planSync(where: string, question: SyncQuestion, now: AbortSignal): Promise<Plan> {
  const cluster = loadCluster(clusterFileIn(where))
  const asked = livingCluster(cluster.file, 'real', question)
  const whereabouts = await inEarnest(cluster, { run: 'plan', path: '', journal: '' })
  const plan = await planRun(cluster, whereabouts, now, syncVolumes, undefined, { asked })
  return whereabouts.secrets.mask.json(plan)
}

/** Gives claims of the living cluster new disks. */
export async function syncInEarnest(
  where: string,
  question: SyncQuestion,
  options: SessionOptions & { approve?: string },
): Promise<RunResult> {
  const file = resolve(clusterFileIn(where))
  const asked = livingCluster(file, 'real', question)
  return beginRun(file, inEarnest, 'real', { ...options, asked, book: syncVolumes.id })
}

/**
 * The cluster that is asked: by the kubeconfig that is named, or by the one that the newest finished run on this home has
 * made. Never by whatever kubectl happens to be set to. Throws Fault `kubeconfig-not-named`.
 */
export function livingCluster(
  file: string,
  mode: string,
  { chosen, kubeconfig, context }: SyncQuestion,
): Asked {
  const made = formerRuns(file, mode)
    .map(former => join(former.folder, 'kubeconfig'))
    .findLast(path => existsSync(path))
  const path = kubeconfig === undefined ? made : resolve(kubeconfig)
  if (path === undefined || !existsSync(path))
    throw new Fault({
      code: 'kubeconfig-not-named',
      blame: 'operator',
      message:
        path === undefined
          ? 'no finished run on this computer has made this home’s cluster, so that nobody can say which one is meant'
          : `there is no kubeconfig ${path}`,
      remedy: 'Name the kubeconfig that leads to it: --kubeconfig $HOME/.kube/config',
    })
  return { chosen, atOnce: false, kubeconfig: path, ...(context === undefined ? {} : { context }) }
}

/** Recovers the real home. */
export function beginInEarnest(
  where: string,
  options: SessionOptions & { approve?: string; only?: string[] },
): Promise<RunResult> {
  return beginRun(clusterFileIn(where), inEarnest, 'real', options)
}
