import { createHash } from 'node:crypto'
import { Fault } from './fault.ts'
import { type Runbook, sources } from './runbook.ts'
import { type AnyStep, blocked } from './step.ts'

/**
 * A runbook of some phases alone. Their own steps are in it, and outside of them
 * - what only reads and is needed: it is looked at as ever;
 * - what `serves` one of them: it is done as ever, before or after;
 * - what `serves` phases that are not among them: it is left out, with what only it needs;
 * - every other change that is needed: it is looked at, and must be done already.
 * Throws Fault `phase-unknown`.
 */
export function onlyPhases(book: Runbook, names: readonly string[]): Runbook {
  const unknown = names.filter(name => !book.phases.some(p => p.id === name))
  if (unknown.length > 0 || names.length === 0)
    throw new Fault({
      code: 'phase-unknown',
      blame: 'operator',
      message: `the runbook has no phase ${unknown.join(', ') || 'without a name'}`,
      remedy: `Choose among ${book.phases.map(p => p.id).join(', ')}`,
    })
  const phaseOf = new Map(book.phases.flatMap(p => p.steps.map(s => [s, p.id] as const)))
  const inside = (step: AnyStep) => names.includes(phaseOf.get(step) ?? '')
  const serves = (step: AnyStep) => step.serves?.some(phase => names.includes(phase)) ?? false
  const leftOut = (step: AnyStep) => !inside(step) && step.serves !== undefined && !serves(step)
  const last = book.steps.findLastIndex(inside)
  const taken = new Set<AnyStep>()
  const take = (step: AnyStep): void => {
    if (taken.has(step) || leftOut(step)) return
    taken.add(step)
    for (const need of sources(step)) take(need)
  }
  book.steps.forEach((step, i) => {
    if (inside(step) || (serves(step) && i < last)) take(step)
    // What comes after ends what these phases began. It waits for what is there, and asks for nothing more.
    else if (serves(step)) taken.add(step)
  })
  const steps = new Map(
    book.steps
      .filter(step => taken.has(step))
      .map(step => [
        step,
        inside(step) || serves(step) || step.danger === 'reads' ? step : mustHold(step, names),
      ]),
  )
  const stepHashes = Object.fromEntries([...steps.keys()].map(s => [s.id, book.stepHashes[s.id] ?? '']))
  return {
    id: book.id,
    title: `${book.title}: only ${names.join(', ')}`,
    phases: book.phases
      .map(p => ({ ...p, steps: p.steps.flatMap(s => steps.get(s) ?? []) }))
      .filter(p => p.steps.length > 0),
    steps: [...steps.values()],
    hash: createHash('sha256')
      .update(JSON.stringify([book.hash, names]))
      .digest('hex')
      .slice(0, 16),
    stepHashes,
  }
}

/** The same step with nothing in its hands: it finds its result, or it is in the way. */
function mustHold(step: AnyStep, names: readonly string[]): AnyStep {
  const { apply: _, victims: __, settle: ___, ...rest } = step
  return {
    ...rest,
    danger: 'reads',
    async observe(look) {
      const seen = await step.observe(look)
      if (seen.state !== 'due') return seen
      const phase = step.id.split('/')[0]
      return blocked(
        'phase-not-done',
        `${step.id} is not done, and a run of only ${names.join(', ')} does not do it: ${seen.changes.join('; ')}`,
        `Take its phase along (--only ${[phase, ...names].join(',')}), or leave --only away`,
      )
    },
  }
}
