import type { FaultText } from '../../runbook/fault.ts'

/** What a look at a host's config found. A refusal must be mended before anything is armed; a warning is told. */
export interface Finding extends FaultText {
  severity: 'refusal' | 'warning'
}
