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

/** A parameter that must be a number; one that is not is a bad size to DSM. */
export function number(call: Call, name: string): number {
  const value = call[name]
  if (typeof value !== 'number') throw new DsmError(18990502)
  return value
}

/** A parameter that must be a list. */
export function list(call: Call, name: string): unknown[] {
  const value = call[name]
  if (!Array.isArray(value)) throw new DsmError(120)
  return value
}
