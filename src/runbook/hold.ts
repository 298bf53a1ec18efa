import type { Claims } from './replay.ts'
import type { Runbook } from './runbook.ts'
import type { AnyStep } from './step.ts'

/** Ids of the steps that a journal says were begun or done. */
export function begunBy(claims: Pick<Claims, 'steps'>): Set<string> {
  const begun = new Set<string>()
  for (const [id, claim] of claims.steps) if (claim.intents > 0 || claim.checkpoint) begun.add(id)
  return begun
}

/** Whether a later step has ended this one's claim on purpose (`holdsUntil`), so that looking again would mislead. */
export function isOver(
  { step, key }: { step: AnyStep; key: string | undefined },
  runbook: Runbook,
  begun: ReadonlySet<string>,
): boolean {
  const { holdsUntil, each } = step
  if (holdsUntil === undefined) return false
  const later = runbook.steps.find(s => s.id === holdsUntil)
  if (later?.each !== undefined && later.each === each) return begun.has(`${holdsUntil}[${key}]`)
  for (const id of begun) if (id === holdsUntil || id.startsWith(`${holdsUntil}[`)) return true
  return false
}
