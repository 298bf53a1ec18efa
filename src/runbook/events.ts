import type { FaultJson } from './fault.ts'
import type { Danger, Table, Victim, Warning } from './step.ts'

/** A step as views see it. */
export interface StepFace {
  id: string
  phase: string
  title: string
  danger: Danger
  /** How long it usually takes, milliseconds. */
  expectedMs: number
}

/** How a step came to be done: `applied` by this run, `already` so when first seen, `confirmed` again after a resume, `kept` from the journal. */
export type DoneHow = 'applied' | 'already' | 'confirmed' | 'kept'

/**
 * Everything that the core says. `code` is the public contract of `--json-into`; the core never prints.
 * Times in milliseconds are of a monotonic clock and relative to the start of this process's part of the run.
 */
export type RunEventBody =
  | {
      code: 'run-started'
      run: string
      runbook: string
      resumed: boolean
      phases: { id: string; title: string }[]
    }
  | { code: 'steps-known'; steps: StepFace[] }
  | { code: 'step-looking'; step: string }
  | { code: 'step-due'; step: string; changes: string[] }
  | { code: 'step-applying'; step: string; attempt: number }
  | { code: 'step-note'; step: string; text: string }
  | { code: 'step-progress'; step: string; done: number; total: number; unit: string }
  | { code: 'step-waiting'; step: string; what: string; limitMs: number }
  | { code: 'step-repeating'; step: string; because: string }
  | { code: 'step-moved'; step: string; because: string }
  | { code: 'step-retrying'; step: string; fault: FaultJson; attempt: number; of: number; delayMs: number }
  | {
      code: 'step-done'
      step: string
      how: DoneHow
      evidence: string
      tookMs: number
      warnings?: Warning[]
    }
  | { code: 'step-table'; step: string; table: Table }
  | { code: 'step-failed'; step: string; fault: FaultJson; tookMs: number }
  /** Not begun, because it comes after another of its kind that is not done. */
  | { code: 'step-left'; step: string; because: string }
  | { code: 'hand-needed'; step: string; subject: string; text: string }
  | { code: 'consent-needed'; step: string; victims: Victim[] }
  | { code: 'consent-given'; by: string; how: string; victims: Victim[] }
  | { code: 'notice'; about: string; text: string }
  | { code: 'run-stopping'; how: 'after-current' | 'now' }
  | { code: 'run-ended'; run: string; state: RunState; failed: string[]; left: number; tookMs: number }

/** How a process's part of a run ended. `stopped` and `failed` can be resumed. */
export type RunState = 'finished' | 'failed' | 'stopped'

export type RunEvent = RunEventBody & { atMs: number }

/** Receives events. Must not throw; what it throws is lost on purpose, since a view must never stop a recovery. */
export type EventSink = (event: RunEvent) => void
