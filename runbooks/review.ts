import { type LockReport, readLocks } from '../src/report/holder.ts'
import { type Report, reportOf } from '../src/report/report.ts'
import { readRun } from '../src/report/source.ts'
import { runStatus, type Status } from '../src/report/status.ts'
import { listRunFolders, openRunFolder, type RunFolder, stateFolder } from '../src/runbook/run-folder.ts'

/**
 * Tells a run, the newest when none is named, whether it is finished, going on, broken off or partly unreadable.
 * Throws Fault `run-unknown` when there is none.
 */
export function reviewRun(run?: string): Report {
  const state = stateFolder()
  return review(openRunFolder(state, run), readLocks(state))
}

/** What is going on now on this machine: every lock, every run that a living process works on, and the newest run. */
export function reviewNow(): Status {
  const state = stateFolder()
  const locks = readLocks(state)
  const folders = listRunFolders(state)
  const newest = folders.at(-1)
  return {
    locks,
    runs: folders
      .filter(folder => folder === newest || holds(locks, folder))
      .map(folder => runStatus(review(folder, locks))),
  }
}

function review(folder: RunFolder, locks: LockReport[]): Report {
  return reportOf(readRun(folder), holds(locks, folder))
}

function holds(locks: LockReport[], folder: RunFolder): boolean {
  return locks.some(l => l.alive !== 'no' && l.holder.run === folder.run)
}
