import type { Claims } from './replay.ts'
import type { Runbook } from './runbook.ts'
import type { AnyStep } from './step.ts'

/** The steps that a journal says were begun or done, and those that this process has begun since. */
export class Begun {
  private readonly ids = new Set<string>()
  /** Ids of the steps of which any instance was begun. */
  private readonly ofAny = new Set<string>()
  private readonly steps: ReadonlyMap<string, AnyStep>

  constructor(runbook: Runbook, claims: Pick<Claims, 'steps'>) {
    this.steps = new Map(runbook.steps.map(s => [s.id, s]))
    for (const [id, claim] of claims.steps) if (claim.intents > 0 || claim.checkpoint) this.add(id)
  }

  /** @param id of a step, with its subject's key where it fans out */
  add(id: string): void {
    this.ids.add(id)
    const key = id.indexOf('[')
    this.ofAny.add(key === -1 ? id : id.slice(0, key))
  }

  /** Whether a later step has ended this one's claim on purpose (`holdsUntil`), so that looking again would mislead. */
  endedClaimOf({ step, key }: { step: AnyStep; key: string | undefined }): boolean {
    const { holdsUntil, each } = step
    if (holdsUntil === undefined) return false
    const later = this.steps.get(holdsUntil)
    return later?.each !== undefined && later.each === each
      ? this.ids.has(`${holdsUntil}[${key}]`)
      : this.ofAny.has(holdsUntil)
  }
}
