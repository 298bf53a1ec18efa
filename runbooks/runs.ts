import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import { Fault } from '../src/runbook/fault.ts'
import { breakLock, type LockHolder } from '../src/runbook/lock.ts'
import { type Claims, claims, readJournal } from '../src/runbook/replay.ts'
import { listRunFolders, openRunFolder, type RunFolder, stateFolder } from '../src/runbook/run-folder.ts'
import type { ConnectedRun } from './whereabouts.ts'

/** Whether a run was begun in earnest or as a rehearsal. */
export function modeOf(run: string | undefined): string {
  const folder = openRunFolder(stateFolder(), run)
  return claims(readJournal(folder.journal), folder.journal).began.mode
}

/** One run, for a list. */
export interface RunSummary {
  run: string
  runbook: string
  state: 'finished' | 'failed' | 'stopped' | 'interrupted' | 'damaged'
  began: string
  input: string
  mode: string
  folder: string
}

/** All runs on this machine, oldest first. A run whose journal does not say how it ended is running or was killed. */
export function listRuns(): RunSummary[] {
  return listRunFolders(stateFolder()).map(folder => {
    try {
      const { began, ended } = claims(readJournal(folder.journal), folder.journal)
      return {
        run: folder.run,
        runbook: began.runbook,
        state: ended?.state ?? ('interrupted' as const),
        began: began.at,
        input: began.input,
        mode: began.mode,
        folder: folder.path,
      }
    } catch {
      return {
        run: folder.run,
        runbook: '',
        state: 'damaged' as const,
        began: '',
        input: '',
        mode: '',
        folder: folder.path,
      }
    }
  })
}

/** Breaks the lock of a cluster, and says whose it was. */
export function forceUnlock(file: string): LockHolder | undefined {
  return breakLock(lockPath(stateFolder(), loadCluster(file), 'real'))
}

/** What this run's machines are known by. Fault `run-over` once it was erased. */
export function secretOf(folder: RunFolder): Buffer {
  const secretFile = join(folder.path, 'secret')
  if (existsSync(secretFile)) return readFileSync(secretFile)
  throw new Fault({
    code: 'run-over',
    blame: 'operator',
    message: `run ${folder.run} is finished, and what it knew its machines by was erased`,
    remedy: 'Run `recover report` to read what it did, or begin a new run',
  })
}

/** What a run is about, as its first record says. */
export function aboutOf({ asked, mode }: Claims['began']): Pick<ConnectedRun, 'asked' | 'mode'> {
  return { mode, ...(asked ? { asked } : {}) }
}

/** A rehearsal has a world of its own and need not wait for anybody. */
export function lockPath(state: string, cluster: Cluster, mode: string): string {
  return join(state, 'locks', mode === 'real' ? cluster.entry.cluster : `${cluster.entry.cluster}.rehearsal`)
}
