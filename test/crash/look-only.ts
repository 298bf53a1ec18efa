import { type KeptLab, keepLab } from '../../src/lab/keeper.ts'
import type { PlanEntry } from '../../src/runbook/plan.ts'
import type { Place } from './place.ts'
import { bytesOf } from './world.ts'

/** Plans on a run that was broken off: says what that changed, and what the plans could not answer. Empty: nothing. */
export async function lookOnly(place: Place): Promise<string[]> {
  const lab = await keepLab(place.labFolder, { start: false })
  if (!lab) return ['the lab did not outlive the run']
  const before = await quiet(lab)
  const ownBytes = () => bytesOf(place.stateFolder, path => path === place.labFolder)
  const bytesBefore = ownBytes()
  const end = await place.live('plan')
  if (end !== 0) return [`planning ended with ${end}: ${place.complaints}`]
  const after = await lab.mutations()
  const { again, anew } = place.plans
  return [
    ...(JSON.stringify(after) === JSON.stringify(before)
      ? []
      : [`planning changed the world: ${JSON.stringify(after)}, was ${JSON.stringify(before)}`]),
    ...(ownBytes() === bytesBefore ? [] : ['planning changed the run’s folder']),
    ...unmeetable(again.entries).map(why => `resume --dry-run: ${why}`),
    ...unmeetable(anew.entries, entry => hasTwoDisks(entry) || hasOneSource(entry)).map(
      why => `a new plan: ${why}`,
    ),
  ]
}

/**
 * A new run finds the old disk of a volume and the copy that the broken one made of it, and must not choose between
 * them; only the old run's own journal knows which is which.
 */
function hasTwoDisks(entry: PlanEntry): boolean {
  return (
    entry.state === 'blocked' &&
    entry.fault.code === 'volume-map-contradiction' &&
    /^grafana\/data is \S+ \(\S+\) according to nas(?:, which run \S+ took for the source)?, and \S+ \(\S+\) according to nas(?:, which run \S+ took for the source)?$/.test(
      entry.fault.message,
    ) &&
    /recover resume \d{8}-/.test(entry.fault.remedy)
  )
}

/** Once the machines are wiped the NAS alone speaks to a new run; what they had said is in the old run's journal. */
function hasOneSource(entry: PlanEntry): boolean {
  return (
    entry.state === 'blocked' &&
    entry.fault.code === 'volume-one-source' &&
    !/(?:git|kubelet|recover\.yaml)/.test(entry.fault.message) &&
    /recover resume \d{8}-/.test(entry.fault.remedy)
  )
}

/** Steps that are blocked, and not `rightly` so, or that wait for something that nothing still to be done will bring. */
function unmeetable(entries: PlanEntry[], rightly: (blocked: PlanEntry) => boolean = () => false): string[] {
  return entries.flatMap(entry => {
    if (entry.state === 'blocked')
      return rightly(entry) ? [] : [`${entry.step} is blocked: ${entry.fault.message}`]
    if (entry.state !== 'unknown') return []
    const { until } = entry
    const first = entries.filter(e => e.step === until || e.step.startsWith(`${until}[`))
    return first.every(e => e.state === 'done')
      ? [`${entry.step} waits for ${until}, which is done or in no plan`]
      : []
  })
}

/** What a program of the dead process's had under way (k0sctl lives a moment longer) must not be taken for the plan's. */
async function quiet(lab: KeptLab): Promise<Awaited<ReturnType<KeptLab['mutations']>>> {
  for (let last = await lab.mutations(); ; ) {
    await new Promise(resolve => setTimeout(resolve, 400))
    const now = await lab.mutations()
    if (JSON.stringify(now) === JSON.stringify(last)) return now
    last = now
  }
}
