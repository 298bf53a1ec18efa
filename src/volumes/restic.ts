import { execFile } from 'node:child_process'
import { z } from 'zod'
import { Fault } from '../runbook/fault.ts'

/** Where a claim's backup is, as recover.yaml says. */
export interface BackupPlace {
  /** Name of the secret that opens the repository. */
  restic: string
  /** Fields of it that restic wants besides its own two. */
  fields?: string[] | undefined
  /** Folder of the snapshot that is the root of the volume. */
  path: string
  host?: string | undefined
  tags?: string[] | undefined
  /** Id of the one snapshot, or how it begins. */
  snapshot?: string | undefined
}

const listed = z.array(
  z.object({
    id: z.string(),
    time: z.string(),
    hostname: z.string(),
    paths: z.array(z.string()),
    tags: z.array(z.string()).optional(),
  }),
)
/** A snapshot as `restic snapshots --json` lists it. */
export type ResticSnapshot = z.infer<typeof listed>[number]

/** Names of the fields that a repository's secret must have. */
export function resticFields({ fields = [] }: Pick<BackupPlace, 'fields'>): string[] {
  return [...new Set(['RESTIC_REPOSITORY', 'RESTIC_PASSWORD', ...fields])]
}

/**
 * Lists a repository's snapshots with the restic on this computer. Takes no lock and keeps no cache: nothing is written,
 * here or there. What opens the repository goes by the environment of that process alone. Throws Fault `restic-missing`,
 * `backup-unreachable`.
 */
export function resticSnapshots(
  environment: Record<string, string>,
  signal: AbortSignal,
): Promise<ResticSnapshot[]> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...environment }
  return new Promise((resolve, reject) => {
    execFile(
      'restic',
      ['--no-lock', '--no-cache', 'snapshots', '--json'],
      { env, signal, maxBuffer: 64 * 2 ** 20, timeout: 120_000 },
      (error, stdout, stderr) => {
        if (signal.aborted) return reject(signal.reason)
        if (error && (error as NodeJS.ErrnoException).code === 'ENOENT')
          return reject(
            new Fault({
              code: 'restic-missing',
              blame: 'operator',
              message: 'there is no restic on this computer, which would say which snapshots there are',
              remedy:
                'Install it (apt-get install restic), or name the snapshot in recover.yaml: `snapshot: ID` under backups',
            }),
          )
        if (error)
          return reject(
            new Fault({
              code: 'backup-unreachable',
              blame: 'operator',
              message: `restic does not open the repository: ${stderr.trim().split('\n').at(-1) || error.message}`,
              remedy:
                'Try `restic snapshots` with the same repository and password; a repository inside of the cluster that is being rebuilt cannot be restored from',
            }),
          )
        const parsed = listed.safeParse(JSON.parse(stdout || 'null') ?? [])
        resolve(parsed.success ? parsed.data : [])
      },
    )
  })
}

/** The snapshot that recover.yaml means: the one that it names, or the newest that fits. Throws Fault `backup-not-found`. */
export function chooseSnapshot(
  claim: string,
  { host, tags = [], snapshot }: BackupPlace,
  all: readonly ResticSnapshot[],
): ResticSnapshot {
  const fitting = all.filter(
    s =>
      (host === undefined || s.hostname === host) &&
      tags.every(tag => s.tags?.includes(tag)) &&
      (snapshot === undefined || s.id.startsWith(snapshot)),
  )
  const newest = [...fitting].sort((a, b) => Date.parse(a.time) - Date.parse(b.time)).at(-1)
  if (newest) return newest
  const wanted = [
    ...(snapshot === undefined ? [] : [`with the id ${snapshot}`]),
    ...(host === undefined ? [] : [`of the host ${host}`]),
    ...(tags.length === 0 ? [] : [`tagged ${tags.join(' and ')}`]),
  ].join(', ')
  const hosts = [...new Set(all.map(s => s.hostname))].join(', ')
  throw new Fault({
    code: 'backup-not-found',
    blame: 'operator',
    message: `the repository of ${claim} has ${all.length} snapshots${hosts === '' ? '' : ` (of ${hosts})`}, and none ${wanted}`,
    remedy: 'Correct it under backups in recover.yaml; `restic snapshots` lists them',
  })
}
