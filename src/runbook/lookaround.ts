import { Fault } from './fault.ts'
import type { Instance, StepGraph } from './graph.ts'
import type { AnyStep, Observation } from './step.ts'
import { NotYet } from './step.ts'

/**
 * Builds what a step's functions are given: the handles, its subject under the fan-out's name, and the engine's own.
 * `signal` is made only when a step asks for it: most looks are over before an AbortSignal would have paid for itself.
 */
export function surroundings(
  handles: object,
  instance: Instance,
  graph: StepGraph,
  signal: () => AbortSignal,
  more?: object,
): object {
  const context = {
    ...handles,
    output: (step: AnyStep) => graph.lookup(instance, step),
    outputs: (step: AnyStep) => graph.lookupAll(step),
    get signal() {
      return signal()
    },
    ...more,
  }
  if (instance.step.each) (context as Record<string, unknown>)[instance.step.each.name] = instance.subject
  return context
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

/** The fault of a look that had to find something and did not. */
export function notSo(instance: Instance, changes: string[]): Fault {
  return new Fault({
    code: 'check-failed',
    blame: 'operator',
    message: `${instance.title}: ${changes.join('; ')}`,
    remedy: 'Mend that, then run `recover resume`',
  })
}
