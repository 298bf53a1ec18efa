import { z } from 'zod'

/** A disk or a snapshot that a finished run has left behind, with everything that a person decides by. */
export const oldDisk = z.strictObject({
  kind: z.enum(['lun', 'snapshot']),
  uuid: z.string(),
  name: z.string(),
  sizeBytes: z.number(),
  /** The LUN that a snapshot is of. */
  lun: z.string().optional(),
  claim: z.string(),
  /** The LUN that holds the claim's data now; absent for a snapshot of a disk that still does. */
  replacedBy: z.string().optional(),
  run: z.string(),
  /** When that run ended, ISO 8601. */
  since: z.string(),
  /** Who is logged in to it now. The NAS does not tell when somebody last was. */
  sessions: z.array(z.string()),
})
export type OldDisk = z.infer<typeof oldDisk>

/** A run that came to its end, and the disks that it put others in the place of. */
export interface FormerRun {
  run: string
  ended: string
  volumes: { claim: string; lun: string; replacedBy?: string }[]
}

/** What the NAS has now. */
export interface NasNow {
  luns: readonly { uuid: string; name: string; sizeBytes: number }[]
  targets: readonly { mappings: { lun: string }[]; sessions: { initiator: string; ip: string }[] }[]
  snapshots: readonly { uuid: string; name: string; lun: string; sizeBytes: number }[]
}

/**
 * Everything that finished runs left behind and that is still there: LUNs in whose place another one is, and the
 * snapshots that were the way back. A LUN that any of them put in another's place, or left a claim on, is none.
 */
export function oldDisks(runs: readonly FormerRun[], nas: NasNow): OldDisk[] {
  const sessions = (lun: string) =>
    nas.targets
      .filter(t => t.mappings.some(m => m.lun === lun))
      .flatMap(t => t.sessions.map(s => `${s.initiator} (${s.ip})`))
  // By claim, the newest run says what holds its data.
  const current = new Map(runs.flatMap(r => r.volumes.map(v => [v.claim, v.replacedBy ?? v.lun] as const)))
  const inUse = new Set(current.values())
  const found = new Map<string, OldDisk>()
  for (const { run, ended, volumes } of runs)
    for (const { claim, lun, replacedBy } of volumes) {
      const there = nas.luns.find(l => l.uuid === lun)
      if (!there) continue
      const common = {
        claim,
        run,
        since: ended,
        sessions: sessions(lun),
        ...(replacedBy ? { replacedBy } : {}),
      }
      if (replacedBy !== undefined && !inUse.has(lun))
        found.set(lun, { kind: 'lun', uuid: lun, name: there.name, sizeBytes: there.sizeBytes, ...common })
      for (const s of nas.snapshots.filter(s => s.lun === lun && s.name === `recover-${run}`))
        found.set(s.uuid, {
          kind: 'snapshot',
          uuid: s.uuid,
          name: s.name,
          sizeBytes: s.sizeBytes,
          lun,
          ...common,
        })
    }
  return [...found.values()]
}

/** How long what was left behind is kept, unless a person says otherwise. */
export const graceDays = 7

/** Days since a run ended, whole ones. */
export function ageInDays({ since }: Pick<OldDisk, 'since'>, now: Date): number {
  return Math.floor((now.getTime() - new Date(since).getTime()) / 86_400_000)
}
