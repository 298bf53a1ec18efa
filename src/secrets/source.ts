import type { Fault } from '../runbook/fault.ts'

/** The kinds of places that secrets come from, as `secrets.from` in recover.yaml names them. */
export type SourceName = 'environment' | 'onepassword' | 'bundle' | 'file'

/** What a source says of one field: its value, or that it looked and does not hold it. */
export type Answer = { value: string } | { missing: Fault }

/**
 * One place that may hold secrets. A secret has a name (`nas`) and fields (`username`, `password`).
 * A source only reads, and keeps what it read in memory alone.
 */
export interface SecretSource {
  readonly name: SourceName
  /** How messages call it. */
  readonly label: string
  /**
   * Looks a field up. Rejects with a Fault when the source could not be asked at all (locked, unreachable, throttled),
   * which is not the same as not holding the field.
   */
  find(secret: string, field: string): Promise<Answer>
}
