import { z } from 'zod'

/** A LUN, a share or a snapshot that a finished run has left behind, with everything that a person decides by. */
export const oldDisk = z.strictObject({
  kind: z.enum(['lun', 'snapshot', 'share', 'share-snapshot']),
  /** Of a share's snapshot, which has none that it could be deleted by, the share's and its time, as `77f9…@GMT+09-2026.11.28-11.15.00`. */
  uuid: z.string(),
  name: z.string(),
  sizeBytes: z.number(),
  /** The LUN or share that a snapshot is of, by uuid. */
  of: z.string().optional(),
  /** What a share's snapshot is known by on the NAS. */
  time: z.string().optional(),
  claim: z.string(),
  /** The LUN or share that holds the claim's data now; absent for a snapshot of a disk that still does. */
  replacedBy: z.string().optional(),
  run: z.string(),
  /** When that run ended, ISO 8601. */
  since: z.string(),
  /** Who is logged in to it now, or whom a share's NFS rules let in. The NAS does not tell when somebody last was. */
  sessions: z.array(z.string()),
})
export type OldDisk = z.infer<typeof oldDisk>

/** A run that came to its end, and the disks that it put others in the place of. */
export interface FormerRun {
  run: string
  ended: string
  /** `disk`: uuid of the LUN or share that held the claim's data. */
  volumes: { claim: string; disk: string; replacedBy?: string }[]
}

/** What the NAS has now. */
export interface NasNow {
  luns: readonly { uuid: string; name: string; sizeBytes: number }[]
  targets: readonly { mappings: { lun: string }[]; sessions: { initiator: string; ip: string }[] }[]
  snapshots: readonly { uuid: string; name: string; lun: string; sizeBytes: number }[]
  shares: readonly {
    uuid: string
    name: string
    sizeBytes: number
    clients: readonly { client: string; may: 'write' | 'read' | 'nothing' }[]
  }[]
  shareSnapshots: readonly { share: string; time: string; description: string }[]
}

/** What the snapshot of a share is called that a run took of it as pods left it which it had to stop. */
export function heldSnapshot(run: string): string {
  return `recover-${run}-held`
}

/**
 * Everything that finished runs left behind and that is still there: LUNs and shares in whose place another one is, and
 * the snapshots that were the way back. One that any of them put in another's place, or left a claim on, is none.
 */
export function oldDisks(runs: readonly FormerRun[], nas: NasNow): OldDisk[] {
  const sessions = (disk: string) => [
    ...nas.targets
      .filter(t => t.mappings.some(m => m.lun === disk))
      .flatMap(t => t.sessions.map(s => `${s.initiator} (${s.ip})`)),
    ...nas.shares
      .filter(s => s.uuid === disk)
      .flatMap(s => s.clients.filter(c => c.may !== 'nothing').map(c => `${c.client} (let in)`)),
  ]
  // By claim, the newest run says what holds its data.
  const current = new Map(runs.flatMap(r => r.volumes.map(v => [v.claim, v.replacedBy ?? v.disk] as const)))
  const inUse = new Set(current.values())
  const found = new Map<string, OldDisk>()
  for (const { run, ended, volumes } of runs)
    for (const { claim, disk, replacedBy } of volumes) {
      const share = nas.shares.find(s => s.uuid === disk)
      const there = nas.luns.find(l => l.uuid === disk) ?? share
      if (!there) continue
      const common = {
        claim,
        run,
        since: ended,
        sessions: sessions(disk),
        ...(replacedBy ? { replacedBy } : {}),
      }
      const { name, sizeBytes } = there
      if (replacedBy !== undefined && !inUse.has(disk))
        found.set(disk, { kind: share ? 'share' : 'lun', uuid: disk, name, sizeBytes, ...common })
      for (const s of nas.snapshots.filter(s => s.lun === disk && s.name === `recover-${run}`)) {
        const { uuid, name, sizeBytes } = s
        found.set(uuid, { kind: 'snapshot', uuid, name, sizeBytes, of: disk, ...common })
      }
      for (const { time, description } of nas.shareSnapshots.filter(
        s => s.share === disk && [`recover-${run}`, heldSnapshot(run)].includes(s.description),
      )) {
        const uuid = `${disk}@${time}`
        found.set(uuid, {
          kind: 'share-snapshot',
          uuid,
          name: description,
          sizeBytes,
          of: disk,
          time,
          ...common,
        })
      }
    }
  return [...found.values()]
}

/** How long what was left behind is kept, unless a person says otherwise. */
export const graceDays = 7

/** Days since a run ended, whole ones. */
export function ageInDays({ since }: Pick<OldDisk, 'since'>, now: Date): number {
  return Math.floor((now.getTime() - new Date(since).getTime()) / 86_400_000)
}
