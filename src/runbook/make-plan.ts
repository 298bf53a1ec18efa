import { hash } from 'node:crypto'
import { milliseconds } from './duration.ts'
import { Fault, toFault } from './fault.ts'
import { type Instance, StepGraph } from './graph.ts'
import { Begun } from './hold.ts'
import { look, lookingWith } from './lookaround.ts'
import { notSo } from './not-done.ts'
import type { Outlook, Plan, PlanEntry } from './plan.ts'
import type { Claims } from './replay.ts'
import { type Runbook, sources } from './runbook.ts'
import type { AnyFanOut, AnyStep, Observation, Victim } from './step.ts'
import { Deadlines } from './time.ts'

export interface PlanOptions<R extends object> {
  runbook: Runbook
  /** Readers only: what makes a plan has nothing in its hands that could change the world. */
  readers: R
  now: AbortSignal
  /** What the journal of a run that is to go on claims already; its decisions are kept as the run would keep them. */
  claims?: Pick<Claims, 'steps' | 'fanOuts'>
  /** How many looks at once; default 16. */
  atOnce?: number
  /** Told every few seconds what is still looked at: titles of steps. */
  waiting?: ((titles: string[]) => void) | undefined
}

/** A person who sees nothing for longer thinks that it hangs. */
const tellEveryMs = 5_000

/**
 * Observes every step and says what a run would do. Never rejects for what a step finds: what can't be looked at yet
 * is `unknown until` the step that must come first.
 */
export async function makePlan<R extends object>(options: PlanOptions<R>): Promise<Plan> {
  const { runbook, readers, claims } = options
  const begun = claims && new Begun(runbook, claims)
  const seen = new Map<Instance, PlanEntry>()
  const ready: Instance[] = []
  const subjects = new Map<string, { key: string; subject: unknown }[]>()
  const graph = new StepGraph(runbook, {
    ready: instance => ready.push(instance),
    known: () => {},
    // Found once, however many steps are over them.
    subjects(fan: AnyFanOut, source) {
      const found =
        subjects.get(fan.name) ??
        claims?.fanOuts.get(fan.name)?.map(s => ({ key: s.key, subject: fan.schema.parse(s.subject) })) ??
        fan.subjects(source).map(s => ({ key: fan.key(s), subject: fan.schema.parse(s) }))
      subjects.set(fan.name, found)
      return found
    },
  })
  graph.begin(readers)
  const contextOf = lookingWith(readers, graph)
  const deadlines = new Deadlines(options.now)
  const lacking = new Lacking(graph)

  const { waiting } = options
  const teller = waiting && setInterval(() => waiting(deadlines.underWay()), tellEveryMs).unref()

  const observe = async (instance: Instance): Promise<void> => {
    const { step } = instance
    const limit = deadlines.begin(milliseconds(step.bounds.limit), instance.title)
    let output: { output: unknown } | undefined
    let found: Outlook
    try {
      const context = contextOf(instance, limit)
      const kept = begun?.endedClaimOf(instance) ? claims?.steps.get(instance.id)?.checkpoint : undefined
      const observation: Observation<unknown> = kept
        ? { state: 'done', ...kept }
        : await limit.within(look(step, context))
      if (observation.state === 'done') {
        output = { output: step.output.parse(observation.output) }
        const { evidence, table, warnings } = observation
        found = { state: 'done', evidence, ...(table ? { table } : {}), ...(warnings ? { warnings } : {}) }
      } else if (observation.state === 'due' && step.danger === 'reads' && !step.settle) {
        // A look that must find something: it may come with an earlier step; with all of them done it is in the way.
        const first = lacking.below(instance)
        found = first
          ? { state: 'unknown', until: first }
          : { state: 'blocked', fault: notSo(instance, observation.changes).toJSON() }
      } else if (observation.state === 'due') {
        const victims = step.danger === 'destroys' ? await nameVictims(step, context) : undefined
        found = { state: 'due', changes: observation.changes, ...(victims ? { victims } : {}) }
      } else if (observation.state === 'blocked') {
        const { code, reason, remedy } = observation
        const first = lacking.below(instance)
        // What is in the way may be exactly what an earlier step removes.
        found = first
          ? { state: 'unknown', until: first }
          : { state: 'blocked', fault: { code, blame: 'operator', message: reason, remedy } }
      } else found = observation
    } catch (thrown) {
      const first = lacking.below(instance)
      found = first
        ? { state: 'unknown', until: first }
        : { state: 'blocked', fault: toFault(thrown, instance.title).toJSON() }
    } finally {
      limit.clear()
    }
    seen.set(instance, entryOf(instance, found))
    lacking.note(instance, found)
    graph.settle(instance, output)
  }

  const atOnce = options.atOnce ?? 16
  await new Promise<void>((resolve, reject) => {
    let running = 0
    let next = 0
    const pump = () => {
      if (options.now.aborted) return reject(interrupted())
      while (running < atOnce && next < ready.length) {
        running += 1
        const instance = ready[next]!
        next += 1
        observe(instance).then(() => {
          running -= 1
          pump()
        }, reject)
      }
      if (running === 0 && next === ready.length) resolve()
    }
    pump()
  }).finally(() => {
    clearInterval(teller)
    deadlines.close()
  })

  const entries: PlanEntry[] = []
  /** Milliseconds, of every step that is not done for every subject. */
  const expected = new Map<AnyStep, number>()
  const unexpanded = new Map([...graph.unexpanded()].map(u => [u.step.id, u]))
  for (const phase of runbook.phases)
    for (const step of phase.steps) {
      const unknown = unexpanded.get(step.id)
      if (unknown) expected.set(step, milliseconds(step.bounds.expected))
      if (unknown)
        entries.push(
          entryOf(
            { step, phase: phase.id, id: `${step.id}[?]`, title: titleWithoutSubject(step) },
            { state: 'unknown', until: step.each?.from?.id ?? step.id },
          ),
        )
      for (const instance of graph.instancesOf(step.id)) {
        // Waits for a fan-out that is not known: it can't be looked at before.
        const entry =
          seen.get(instance) ??
          entryOf(instance, {
            state: 'unknown',
            until: lacking.below(instance) ?? sources(step).at(-1)?.id ?? step.id,
          })
        entries.push(entry)
        if (entry.state !== 'done') expected.set(step, entry.expectedMs)
      }
    }
  const victims = entries.flatMap(e => (e.state === 'due' ? (e.victims ?? []) : []))
  return {
    runbook: runbook.id,
    phases: runbook.phases.map(p => ({ id: p.id, title: p.title })),
    entries,
    victims,
    expectedMs: criticalPath(expected, runbook),
    hash: hashPlan(runbook, entries),
  }
}

function entryOf(
  { step, phase, id, title }: Pick<Instance, 'step' | 'phase' | 'id' | 'title'>,
  found: Outlook,
): PlanEntry {
  return {
    step: id,
    phase,
    title,
    danger: step.danger,
    expectedMs: milliseconds(step.bounds.expected),
    needs: needsOf(step),
    ...found,
  }
}

const idsOfNeeds = new WeakMap<AnyStep, string[]>()

/** One list for all instances of a step. */
function needsOf(step: AnyStep): string[] {
  const ids = idsOfNeeds.get(step) ?? sources(step).map(s => s.id)
  idsOfNeeds.set(step, ids)
  return ids
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

/**
 * What is not done at or below each step. Noted when a step has been looked at, which is after its needs: walking down
 * every time would take as long as there are ways through the graph.
 */
class Lacking {
  private readonly graph: StepGraph
  private readonly instances = new Map<Instance, string | undefined>()
  private readonly steps = new Map<AnyStep, string | undefined>()

  constructor(graph: StepGraph) {
    this.graph = graph
  }

  note(instance: Instance, found: Outlook): void {
    const { state } = found
    this.instances.set(
      instance,
      state === 'done' ? this.below(instance) : state === 'unknown' ? found.until : instance.id,
    )
  }

  /** The first need, or need of a need, that is not done. Asked of a step whose needs have ended, or at the end. */
  below({ step, key }: Instance): string | undefined {
    return this.belowNeeds(step, step.each, key)
  }

  /** A need without an instance (left out by `only`, or a fan-out over nothing) is looked through, as the graph does. */
  private belowNeeds(step: AnyStep, each: AnyStep['each'], key: string | undefined): string | undefined {
    for (const need of sources(step)) {
      let first: string | undefined
      if (need.each !== undefined && need.each === each) {
        const instance = this.graph.instance(need.id, key)
        first = instance ? this.atAny([instance]) : this.belowNeeds(need, each, key)
      } else first = this.at(need)
      if (first !== undefined) return first
    }
    return undefined
  }

  private at(need: AnyStep): string | undefined {
    if (this.steps.has(need)) return this.steps.get(need)
    if (!this.graph.has(need.id)) {
      const first = this.belowNeeds(need, undefined, undefined)
      this.steps.set(need, first)
      return first
    }
    const instances = this.graph.instancesOf(need.id)
    const from = need.each?.from
    const unknown = instances.length === 0 && from && !this.graph.instancesOf(from.id)[0]?.result
    const first = unknown
      ? from.id
      : instances.length === 0
        ? this.belowNeeds(need, undefined, undefined)
        : this.atAny(instances)
    this.steps.set(need, first)
    return first
  }

  private atAny(instances: readonly (Instance | undefined)[]): string | undefined {
    for (const instance of instances) {
      if (!instance) continue
      const first = this.instances.has(instance) ? this.instances.get(instance) : instance.id
      if (first !== undefined) return first
    }
    return undefined
  }
}

/** Longest chain of expected times over what is not done, by steps (instances of one step run side by side). */
function criticalPath(expected: ReadonlyMap<AnyStep, number>, runbook: Runbook): number {
  const finish = new Map<string, number>()
  let longest = 0
  for (const step of runbook.steps) {
    let start = 0
    for (const need of sources(step)) start = Math.max(start, finish.get(need.id) ?? 0)
    const end = start + (expected.get(step) ?? 0)
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
    e.state === 'due' ? [e.changes, e.victims?.map(({ remarks: _, ...firm }) => firm) ?? null] : null,
  ])
  return hash('sha256', JSON.stringify([runbook.hash, firm]), 'hex').slice(0, 16)
}

function interrupted(): Fault {
  return new Fault({
    code: 'plan-interrupted',
    blame: 'operator',
    message: 'planning was stopped; nothing was changed',
    remedy: 'Run it again',
  })
}
