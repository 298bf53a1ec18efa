import type { Looking } from '../../src/runbook/step.ts'
import { adoptVolume } from './adopt.ts'
import { cloneVolume } from './clone.ts'
import { copyVolume } from './copy.ts'
import { adoptHostCopy } from './host-copy.ts'
import { restoreVolume } from './restore.ts'

/** The steps that give a claim its disk, one for each strategy. */
export const waysBack = [adoptVolume, cloneVolume, copyVolume, adoptHostCopy, restoreVolume] as const

/** The disk that a claim must be bound to, by whichever strategy it came back; undefined for one that began empty. */
export function expectedDisk(
  outputOf: Looking['outputOf'],
  claim: string,
): { pv: string; handle: string } | undefined {
  for (const way of waysBack) {
    const disk = outputOf(way, claim)
    if (disk) return disk
  }
  return undefined
}
