import type { Acting } from '../../src/runbook/step.ts'
import { parseCopyProgress } from '../../src/volumes/programs.ts'

const mib = 2 ** 20

/** Tells how far a copy is, by what its program says: MiB and files, and about how long the rest takes at this speed. */
export function hearingProgress(
  progress: Acting['progress'],
  now: () => number = () => performance.now(),
): (log: string) => void {
  let first: { at: number; bytes: number } | undefined
  return log => {
    const seen = parseCopyProgress(log)
    if (!seen) return
    first ??= { at: now(), bytes: seen.bytes }
    const speed = (seen.bytes - first.bytes) / Math.max(1, now() - first.at)
    const left = speed > 0 ? `, about ${inWords((seen.total - seen.bytes) / speed)} left` : ''
    progress(Math.floor(seen.bytes / mib), Math.ceil(seen.total / mib), `MiB, ${seen.files} files${left}`)
  }
}

function inWords(ms: number): string {
  if (ms < 90_000) return `${Math.ceil(ms / 1000)}s`
  return ms < 5_400_000 ? `${Math.ceil(ms / 60_000)}m` : `${Math.round(ms / 360_000) / 10}h`
}
