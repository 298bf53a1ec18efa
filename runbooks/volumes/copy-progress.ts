import type { Acting } from '../../src/runbook/step.ts'
import { parseCopyProgress } from '../../src/volumes/programs.ts'

const mib = 2 ** 20

/** How far a program is by its log: what is counted, and in which of its phases where it has several. */
interface Reached {
  bytes: number
  total: number
  files?: number
  phase?: string
}

/** Tells how far a copy is, by what its program says: MiB and files, and about how long the rest takes at this speed. */
export function hearingProgress(
  progress: Acting['progress'],
  {
    read = parseCopyProgress,
    now = () => performance.now(),
  }: { read?: (log: string) => Reached | undefined; now?: () => number } = {},
): (log: string) => void {
  let first: (Reached & { at: number }) | undefined
  return log => {
    const seen = read(log)
    if (!seen) return
    // Another phase has a speed of its own.
    if (first?.phase !== seen.phase) first = undefined
    first ??= { ...seen, at: now() }
    const speed = (seen.bytes - first.bytes) / Math.max(1, now() - first.at)
    const unit = [
      seen.phase === undefined ? 'MiB' : `MiB ${seen.phase}`,
      ...(seen.files === undefined ? [] : [`${seen.files} files`]),
      ...(speed > 0 ? [`about ${inWords((seen.total - seen.bytes) / speed)} left`] : []),
    ]
    progress(Math.floor(seen.bytes / mib), Math.ceil(seen.total / mib), unit.join(', '))
  }
}

function inWords(ms: number): string {
  if (ms < 90_000) return `${Math.ceil(ms / 1000)}s`
  return ms < 5_400_000 ? `${Math.ceil(ms / 60_000)}m` : `${Math.round(ms / 360_000) / 10}h`
}
