import type { Instance, StepGraph } from './graph.ts'
import type { Acting, AnyStep, Observation } from './step.ts'
import { NotYet } from './step.ts'
import type { Deadline } from './time.ts'

/** What waiting and acting need of the engine. */
export interface ActingHooks {
  note(text: string): void
  progress(done: number, total: number, unit: string): void
  askHand(text: string): void
  wait: Acting['wait']
}

/**
 * What a step's functions are given: the handles, its subject under the fan-out's name, and the engine's own. Those are
 * getters, because a step takes apart what it is given and uses one or two of them; the rest are never made.
 */
class Surroundings {
  readonly #instance: Instance
  readonly #graph: StepGraph
  readonly #limit: Pick<Deadline, 'signal'>

  constructor(instance: Instance, graph: StepGraph, limit: Pick<Deadline, 'signal'>) {
    this.#instance = instance
    this.#graph = graph
    this.#limit = limit
    const { each } = instance.step
    if (each) (this as Record<string, unknown>)[each.name] = instance.subject
  }

  get signal() {
    return this.#limit.signal()
  }

  get output() {
    return (step: AnyStep) => this.#graph.lookup(this.#instance, step)
  }

  get outputs() {
    return (step: AnyStep) => this.#graph.lookupAll(step)
  }

  get outputOf() {
    return (step: AnyStep, key: string) => this.#graph.instance(step.id, key)?.result?.output
  }
}

class ActingSurroundings extends Surroundings {
  readonly #hooks: () => ActingHooks
  #made: ActingHooks | undefined

  constructor(
    instance: Instance,
    graph: StepGraph,
    limit: Pick<Deadline, 'signal'>,
    hooks: () => ActingHooks,
  ) {
    super(instance, graph, limit)
    this.#hooks = hooks
  }

  get note() {
    return this.#acting().note
  }

  get progress() {
    return this.#acting().progress
  }

  get askHand() {
    return this.#acting().askHand
  }

  get wait() {
    return this.#acting().wait
  }

  #acting(): ActingHooks {
    this.#made ??= this.#hooks()
    return this.#made
  }
}

/**
 * Builds what a step's functions are given to look: for one run or plan, whose handles all of them share. To be taken apart
 * by name: a spread copies the subject alone.
 */
export function lookingWith(
  handles: object,
  graph: StepGraph,
): (instance: Instance, limit: Pick<Deadline, 'signal'>) => object {
  class Looking extends Surroundings {}
  Object.assign(Looking.prototype, handles)
  return (instance, limit) => new Looking(instance, graph, limit)
}

/** The same for acting and settling. */
export function actingWith(
  handles: object,
  graph: StepGraph,
): (instance: Instance, limit: Pick<Deadline, 'signal'>, hooks: () => ActingHooks) => object {
  class Acting extends ActingSurroundings {}
  Object.assign(Acting.prototype, handles)
  return (instance, limit, hooks) => new Acting(instance, graph, limit, hooks)
}

/** Observes, turning a missing output into `unknown until …`. */
export async function look(step: AnyStep, context: object): Promise<Observation<unknown>> {
  try {
    return await step.observe(context)
  } catch (thrown) {
    if (thrown instanceof NotYet) return { state: 'unknown', until: thrown.until }
    throw thrown
  }
}
