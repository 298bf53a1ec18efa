import { createHash } from 'node:crypto'
import { milliseconds } from './duration.ts'
import { Fault, toFault } from './fault.ts'
import { type Instance, StepGraph } from './graph.ts'
import { look, notSo, surroundings } from './lookaround.ts'
import type { Plan, PlanEntry } from './plan.ts'
import { type Runbook, sources } from './runbook.ts'
import type { AnyFanOut, AnyStep, Victim } from './step.ts'

export interface PlanOptions<R extends object> {
  runbook: Runbook
  /** Readers only: what makes a plan has nothing in its hands that could change the world. */
  readers: R
  now: AbortSignal
  /** How many looks at once; default 16. */
  atOnce?: number
}

/**
 * Observes every step and says what a run would do. Never rejects for what a step finds: what can't be looked at yet
 * is `unknown until` the step that must come first.
 */
export async function makePlan<R extends object>(options: PlanOptions<R>): Promise<Plan> {
  const { runbook, readers } = options
  const seen = new Map<string, PlanEntry>()
  const ready: Instance[] = []
  const graph = new StepGraph(runbook, {
    ready: instance => ready.push(instance),
    known: () => {},
    subjects: (fan: AnyFanOut, source) =>
      fan.subjects(source).map(s => ({ key: fan.key(s), subject: fan.schema.parse(s) })),
  })
  graph.begin(readers)

  const observe = async (instance: Instance): Promise<void> => {
    const { step } = instance
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), milliseconds(step.bounds.limit))
    const signal = () => AbortSignal.any([options.now, abort.signal])
    let output: { output: unknown } | undefined
    let entry: PlanEntry
    const face = faceOf(step, instance.phase, instance.id, instance.title)
    try {
      const context = surroundings(readers, instance, graph, signal)
      const observation = await look(step, context)
      if (observation.state === 'done') {
        output = { output: step.output.parse(observation.output) }
        entry = { ...face, state: 'done', evidence: observation.evidence }
      } else if (observation.state === 'due' && step.danger === 'reads' && !step.settle) {
        // A look that must find something: it may come with an earlier step; with all of them done it is in the way.
        const first = firstNotDone(instance, graph, seen)
        entry = first
          ? { ...face, state: 'unknown', until: first }
          : { ...face, state: 'blocked', fault: notSo(instance, observation.changes).toJSON() }
      } else if (observation.state === 'due') {
        const victims = step.danger === 'destroys' ? await nameVictims(step, context) : undefined
        entry = { ...face, state: 'due', changes: observation.changes, ...(victims ? { victims } : {}) }
      } else if (observation.state === 'blocked') {
        const { code, reason, remedy } = observation
        const first = firstNotDone(instance, graph, seen)
        // What is in the way may be exactly what an earlier step removes.
        entry = first
          ? { ...face, state: 'unknown', until: first }
          : { ...face, state: 'blocked', fault: { code, blame: 'operator', message: reason, remedy } }
      } else entry = { ...face, state: 'unknown', until: observation.until }
    } catch (thrown) {
      const first = firstNotDone(instance, graph, seen)
      entry = first
        ? { ...face, state: 'unknown', until: first }
        : { ...face, state: 'blocked', fault: toFault(thrown, instance.title).toJSON() }
    } finally {
      clearTimeout(timer)
    }
    seen.set(instance.id, entry)
    graph.settle(instance, output)
  }

  const atOnce = options.atOnce ?? 16
  await new Promise<void>((resolve, reject) => {
    let running = 0
    const pump = () => {
      if (options.now.aborted) return reject(interrupted())
      while (running < atOnce && ready.length > 0) {
        running += 1
        observe(ready.shift()!).then(() => {
          running -= 1
          pump()
        }, reject)
      }
      if (running === 0 && ready.length === 0) resolve()
    }
    pump()
  })

  const entries: PlanEntry[] = []
  const unexpanded = new Map([...graph.unexpanded()].map(u => [u.step.id, u]))
  for (const phase of runbook.phases)
    for (const step of phase.steps) {
      const unknown = unexpanded.get(step.id)
      if (unknown)
        entries.push({
          ...faceOf(step, phase.id, `${step.id}[?]`, titleWithoutSubject(step)),
          state: 'unknown',
          until: step.each?.from?.id ?? step.id,
        })
      for (const instance of graph.instancesOf(step.id)) {
        const entry = seen.get(instance.id)
        // Waits for a fan-out that is not known: it can't be looked at before.
        entries.push(
          entry ?? {
            ...faceOf(step, phase.id, instance.id, instance.title),
            state: 'unknown',
            until: firstNotDone(instance, graph, seen) ?? sources(step).at(-1)?.id ?? step.id,
          },
        )
      }
    }
  const victims = entries.flatMap(e => (e.state === 'due' ? (e.victims ?? []) : []))
  return {
    runbook: runbook.id,
    phases: runbook.phases.map(p => ({ id: p.id, title: p.title })),
    entries,
    victims,
    expectedMs: criticalPath(entries, runbook),
    hash: hashPlan(runbook, entries),
  }
}

function faceOf(step: AnyStep, phase: string, id: string, title: string) {
  return {
    step: id,
    phase,
    title,
    danger: step.danger,
    expectedMs: milliseconds(step.bounds.expected),
    needs: sources(step).map(s => s.id),
  }
}

function titleWithoutSubject(step: AnyStep): string {
  if (typeof step.title === 'string') return step.title
  return `${step.id.split('/')[1]?.replaceAll('-', ' ')}, for each ${step.each?.name}`
}

async function nameVictims(step: AnyStep, context: object): Promise<Victim[] | undefined> {
  try {
    return await step.victims!(context)
  } catch {
    // They are named, and agreed to, when the step's turn comes.
    return undefined
  }
}

/** The first need, or need of a need, that is not done. */
function firstNotDone(
  instance: Instance,
  graph: StepGraph,
  seen: Map<string, PlanEntry>,
): string | undefined {
  for (const need of sources(instance.step)) {
    const same = need.each !== undefined && need.each === instance.step.each
    const instances = same
      ? [graph.instance(need.id, instance.key)].filter(i => i !== undefined)
      : graph.instancesOf(need.id)
    if (
      !same &&
      instances.length === 0 &&
      need.each?.from &&
      !graph.instancesOf(need.each.from.id)[0]?.result
    )
      return need.each.from.id
    for (const other of instances) {
      const entry = seen.get(other.id)
      if (entry?.state === 'unknown') return entry.until
      if (entry?.state !== 'done') return other.id
      const deeper = firstNotDone(other, graph, seen)
      if (deeper) return deeper
    }
  }
  return undefined
}

/** Longest chain of expected times over what is not done, by steps (instances of one step run side by side). */
function criticalPath(entries: PlanEntry[], runbook: Runbook): number {
  const cost = new Map<string, number>()
  for (const entry of entries)
    if (entry.state !== 'done') {
      const id = entry.step.replace(/\[.*$/, '')
      cost.set(id, Math.max(cost.get(id) ?? 0, entry.expectedMs))
    }
  const finish = new Map<string, number>()
  let longest = 0
  for (const step of runbook.steps) {
    let start = 0
    for (const need of sources(step)) start = Math.max(start, finish.get(need.id) ?? 0)
    const end = start + (cost.get(step.id) ?? 0)
    finish.set(step.id, end)
    longest = Math.max(longest, end)
  }
  return longest
}

function hashPlan(runbook: Runbook, entries: PlanEntry[]): string {
  const firm = entries.map(e => [
    e.step,
    e.danger,
    e.state,
    e.state === 'due' ? [e.changes, e.victims ?? null] : null,
  ])
  return createHash('sha256')
    .update(JSON.stringify([runbook.hash, firm]))
    .digest('hex')
    .slice(0, 16)
}

function interrupted(): Fault {
  return new Fault({
    code: 'plan-interrupted',
    blame: 'operator',
    message: 'planning was stopped; nothing was changed',
    remedy: 'Run it again',
  })
}
