import type { Looking } from '../../src/runbook/step.ts'
import { adoptVolume } from './adopt.ts'
import { cloneVolume } from './clone.ts'
import { copyVolume } from './copy.ts'

/** The steps that give a claim its disk, one for each strategy. */
export const waysBack = [adoptVolume, cloneVolume, copyVolume] as const

/** The disk that each claim must be bound to, by whichever strategy it came back. */
export function expectedDisks(outputs: Looking['outputs']): Map<string, { pv: string; handle: string }> {
  return new Map(waysBack.flatMap(way => [...outputs(way)]))
}
