import type { Instance, StepGraph } from './graph.ts'
import type { Acting, AnyStep, Observation } from './step.ts'
import { NotYet } from './step.ts'

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
  readonly #signal: () => AbortSignal

  constructor(handles: object, instance: Instance, graph: StepGraph, signal: () => AbortSignal) {
    this.#instance = instance
    this.#graph = graph
    this.#signal = signal
    Object.assign(this, handles)
    const { each } = instance.step
    if (each) (this as Record<string, unknown>)[each.name] = instance.subject
  }

  get signal() {
    return this.#signal()
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
    handles: object,
    instance: Instance,
    graph: StepGraph,
    signal: () => AbortSignal,
    hooks: () => ActingHooks,
  ) {
    super(handles, instance, graph, signal)
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
 * Builds what a step's functions are given; with `hooks`, what acting and settling are given. To be taken apart by name:
 * a spread copies the handles alone.
 */
export function surroundings(
  handles: object,
  instance: Instance,
  graph: StepGraph,
  signal: () => AbortSignal,
  hooks?: () => ActingHooks,
): object {
  return hooks
    ? new ActingSurroundings(handles, instance, graph, signal, hooks)
    : new Surroundings(handles, instance, graph, signal)
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
