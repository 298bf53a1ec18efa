import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import { onlyPhases } from '../src/runbook/only-phases.ts'
import type { Plan, PlanEntry } from '../src/runbook/plan.ts'
import { phase, runbook } from '../src/runbook/runbook.ts'
import type { Warning } from '../src/runbook/step.ts'
import { clusterFileIn } from './cluster-file.ts'
import { fromScratch } from './from-scratch.ts'
import { inEarnest } from './in-earnest.ts'
import { planRun } from './plan-run.ts'
import { compareButane } from './programs/compare-butane.ts'
import { inOwnLab } from './rehearse.ts'
import type { Whereabouts } from './whereabouts.ts'

/** One check. */
export interface Check {
  /** Id of the step that a run would look by. */
  step: string
  title: string
  /** `unknown`: what it needs is not so. */
  state: 'fine' | 'warns' | 'stops' | 'unknown'
  /** What was seen, or what is wrong; one sentence. */
  says: string
  /** Of what stops a recovery. */
  code?: string
  remedy?: string
  warnings: Warning[]
}

/** Whether a cluster could be recovered today. */
export interface Checkup {
  cluster: string
  /** Nothing that was looked at would stop a recovery. */
  recoverable: boolean
  checks: Check[]
}

export interface CheckupQuestion {
  /** recover.yaml or its folder. */
  where: string
  /** A lab made from the cluster file in place of the real home. */
  lab: boolean
  now: AbortSignal
  /** Told every few seconds what is still looked at. */
  waiting?: ((titles: string[]) => void) | undefined
}

/**
 * Looks whether a recovery would come as far as to its first change: by the very steps of the runbook, with readers in
 * their hands and nothing else.
 */
export async function checkUp(question: CheckupQuestion): Promise<Checkup> {
  const cluster = loadCluster(clusterFileIn(question.where))
  const look = (where: Whereabouts) => checkUpAt(cluster, where, question)
  if (question.lab) return inOwnLab(cluster, look)
  return look(await inEarnest(cluster, { run: 'doctor', path: '', journal: '' }))
}

/** {@link checkUp} at one place. */
export async function checkUpAt(
  cluster: Cluster,
  where: Whereabouts,
  { now, waiting }: Pick<CheckupQuestion, 'now' | 'waiting'>,
): Promise<Checkup> {
  const [plan, programs] = await Promise.all([
    planRun(cluster, where, now, onlyPhases(fromScratch, ['preflight', 'evidence']), waiting),
    planRun(cluster, where, now, ownChecks, waiting),
  ])
  const checks = [...entriesOf(plan), ...entriesOf(programs)].map(checkOf)
  return { cluster: cluster.entry.cluster, recoverable: checks.every(c => c.state !== 'stops'), checks }
}

/** What a run does not need to look at. */
const ownChecks = runbook('doctor', 'Check up', [phase('programs', 'Programs', [compareButane])])

/** What is kept before a wipe is kept by runs alone. */
function entriesOf(plan: Plan): PlanEntry[] {
  return plan.entries.filter(entry => entry.danger === 'reads')
}

function checkOf(entry: PlanEntry): Check {
  const { step, title } = entry
  switch (entry.state) {
    case 'done': {
      const warnings = entry.warnings ?? []
      return { step, title, state: warnings.length > 0 ? 'warns' : 'fine', says: entry.evidence, warnings }
    }
    case 'blocked': {
      const { message, code, remedy } = entry.fault
      return { step, title, state: 'stops', says: message, code, remedy, warnings: [] }
    }
    case 'due':
      return { step, title, state: 'unknown', says: entry.changes.join('; '), warnings: [] }
    case 'unknown':
      return { step, title, state: 'unknown', says: `not known until ${entry.until}`, warnings: [] }
  }
}
