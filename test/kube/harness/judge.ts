import { expect } from 'vitest'
import { endOf } from './end.ts'
import type { Lived, RealHome } from './recovery.ts'

/** Steps that failed, with the codes of their faults; each must be somebody's to mend, and say how. */
export function failures({ faults }: Lived): Record<string, string> {
  for (const { blame, code, message, remedy } of faults) {
    expect(blame, `${code}: ${message}`).not.toBe('bug')
    expect(remedy.length).toBeGreaterThan(20)
  }
  return Object.fromEntries(faults.map(({ step, code }) => [step ?? '', code]))
}

/** All six Applications are Synced and Healthy, on bound claims. */
export async function isWell(home: RealHome): Promise<void> {
  const { applications, claims } = await endOf(home)
  expect(Object.keys(applications)).toHaveLength(6)
  expect(new Set(Object.values(applications))).toEqual(new Set(['Synced, Healthy']))
  expect(new Set(Object.values(claims))).toEqual(new Set(['Bound']))
}
