import { DsmError, type NasStore } from './store.ts'

/** Parameters of a call, decoded as DSM does: JSON where it is JSON, the raw text otherwise. */
export type Call = Record<string, unknown>

/** One method of the NAS: `api method` to what it does. `changes` are counted as mutating requests. */
export interface Method {
  changes: boolean
  /** Versions that it answers to; 1 alone where nothing is said. */
  versions?: readonly number[]
  run(store: NasStore, call: Call): unknown
}

export const reads = (run: Method['run']): Method => ({ changes: false, run })
export const changes = (run: Method['run']): Method => ({ changes: true, run })

/** A parameter that must be a text: one that is missing and one of another type have codes of their own. */
export function text(call: Call, name: string): string {
  const value = call[name]
  if (value === undefined) throw new DsmError(18990508)
  if (typeof value !== 'string') throw new DsmError(120)
  return value
}

/** Fields that a call asks for beside those that are always told. */
export function additional(call: Call): Set<string> {
  return new Set(Array.isArray(call.additional) ? call.additional.map(String) : [])
}
