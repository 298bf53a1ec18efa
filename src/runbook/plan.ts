import type { FaultJson } from './fault.ts'
import type { Beside, Danger, Victim } from './step.ts'

/** One step for one subject, as its author wrote it. */
export interface PlannedStep {
  step: string
  phase: string
  title: string
  danger: Danger
  expectedMs: number
  needs: string[]
}

/** What looking at a step came to. */
export type Outlook =
  | ({ state: 'done'; evidence: string } & Beside)
  | { state: 'due'; changes: string[]; victims?: Victim[] }
  | { state: 'blocked'; fault: FaultJson }
  | { state: 'unknown'; until: string }

/** What a run would do at one step, from observing alone. */
export type PlanEntry = PlannedStep & Outlook

/** What a run would do. `hash` covers steps, dangers, states, changes and victims, and nothing that moves by itself. */
export interface Plan {
  runbook: string
  phases: { id: string; title: string }[]
  entries: PlanEntry[]
  /** Everything that would be destroyed and can be named already. */
  victims: Victim[]
  /** The longest chain of what is due or unknown, milliseconds. */
  expectedMs: number
  hash: string
}
