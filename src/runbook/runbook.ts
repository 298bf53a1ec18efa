import { createHash } from 'node:crypto'
import { milliseconds } from './duration.ts'
import { Fault } from './fault.ts'
import type { AnyStep } from './step.ts'

export interface Phase {
  id: string
  title: string
  steps: AnyStep[]
}

/** An ordered recovery, checked: every need comes before its step, ids are unique, times make sense. */
export interface Runbook {
  id: string
  title: string
  phases: Phase[]
  steps: AnyStep[]
  /** Hash over every step's definition and code: a resume under another runbook is noticed. */
  hash: string
  /** The same by step, to say which changed. */
  stepHashes: Record<string, string>
}

/** One phase of the outline. Step ids begin with the phase's id. */
export function phase(id: string, title: string, steps: AnyStep[]): Phase {
  return { id, title, steps }
}

/** Checks an outline and makes it a runbook. Throws Fault `runbook-invalid` (a bug of the runbook's author). */
export function runbook(id: string, title: string, phases: Phase[]): Runbook {
  const steps = phases.flatMap(p => p.steps)
  const problems: string[] = []
  const seen = new Set<AnyStep>()
  const ids = new Set<string>()
  for (const p of phases)
    for (const step of p.steps) {
      if (ids.has(step.id)) problems.push(`${step.id} stands twice`)
      ids.add(step.id)
      if (!step.id.startsWith(`${p.id}/`)) problems.push(`${step.id} stands in phase ${p.id}`)
      for (const need of sources(step))
        if (!seen.has(need)) problems.push(`${step.id} needs ${need.id}, which does not come before it`)
      if (milliseconds(step.bounds.expected) > milliseconds(step.bounds.limit))
        problems.push(`${step.id} expects to take longer than its limit`)
      if (step.each?.from?.each)
        problems.push(`${step.id} fans out from ${step.each.from.id}, which fans out itself`)
      seen.add(step)
    }
  for (const step of steps)
    for (const served of step.serves ?? [])
      if (!phases.some(p => p.id === served)) problems.push(`${step.id} serves ${served}, which is no phase`)
  for (const step of steps)
    if (step.holdsUntil !== undefined && !ids.has(step.holdsUntil))
      problems.push(`${step.id} holds until ${step.holdsUntil}, which is not in the runbook`)
  if (problems.length > 0)
    throw new Fault({
      code: 'runbook-invalid',
      blame: 'bug',
      message: `runbook ${id}: ${problems.join('; ')}`,
      remedy: 'Mend the runbook',
    })
  const stepHashes = Object.fromEntries(steps.map(s => [s.id, hashStep(s)]))
  const hash = digest(JSON.stringify([id, Object.entries(stepHashes)]))
  return { id, title, phases, steps, hash, stepHashes }
}

/** Everything that must be done before a step can be looked at: its needs and the source of its fan-out. */
export function sources(step: AnyStep): readonly AnyStep[] {
  const known = sourcesOf.get(step)
  if (known) return known
  const from = step.each?.from
  const found = [...(step.needs ?? []), ...(from && !step.needs?.includes(from) ? [from] : [])]
  sourcesOf.set(step, found)
  return found
}

/** A plan of thousands of volumes asks for each step's as often. */
const sourcesOf = new WeakMap<AnyStep, readonly AnyStep[]>()

function hashStep(step: AnyStep): string {
  const text = JSON.stringify([
    step.id,
    step.danger,
    step.bounds,
    step.each?.name ?? null,
    sources(step).map(s => s.id),
    step.holdsUntil ?? null,
    ...(step.serves ? [step.serves] : []),
    [
      step.title,
      step.observe,
      step.apply,
      step.settle,
      step.victims,
      step.only,
      step.after,
      step.needsOf,
    ].map(String),
  ])
  return digest(text)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
