import { z } from 'zod'
import type { FaultJson } from '../runbook/fault.ts'
import type { Story, Trace } from './story.ts'

const content = z.object({ files: z.number(), bytes: z.number(), sha256: z.string() })

/** What a volume holds: count and bytes of its files, and one hash over names and contents. */
export type Content = z.infer<typeof content>

/**
 * What is known of a volume's content. `same`: hashed before and after, alike. `differs`: not alike. `missing`: not
 * compared, or changed after the comparison. `begins-empty`: it has no old data, on purpose.
 * `from-backup`: it was restored, and every file was read back and compared with the backup.
 */
export type Proof = 'same' | 'differs' | 'missing' | 'begins-empty' | 'from-backup'

/** How one claim came back. */
export interface VolumeReport {
  /** `namespace/name`. */
  claim: string
  /** What was intended: adopt, copy, host-copy, clone, restore, new. */
  strategy?: string
  sizeBytes?: number
  /** The LUN that held its data before. */
  lun?: { uuid: string; name: string }
  /** The shared folder that held it, where it was none. */
  share?: { uuid: string; name: string }
  /** Sources that agreed on that disk. */
  sources: string[]
  /** The snapshot taken of that disk before anything was written. */
  snapshot?: string
  /** How it came back, once that was seen: the step that did it, the PersistentVolume and its handle. */
  back?: { by: string; pv: string; handle: string }
  before?: Content
  after?: Content
  proof: Proof
  /** Why it is not back or not proven: what stands in the way of one of its steps. */
  problem?: FaultJson
}

const mapped = z.object({
  claim: z.string(),
  strategy: z.string(),
  sizeBytes: z.number(),
  lun: z.object({ uuid: z.string(), name: z.string() }).optional(),
  share: z.object({ uuid: z.string(), name: z.string() }).optional(),
  leftToGit: z.string().optional(),
  sources: z.array(z.string()),
})
const map = z.object({ volumes: z.array(mapped), ownerless: z.array(z.string()).optional() })
const bound = z.object({ pv: z.string(), handle: z.string() })
const compared = z.object({ before: content.nullish(), after: content.nullish() })
const snapshot = z.object({ name: z.string() })

/** The ways a volume comes back, each a step `volumes/WAY[CLAIM]`. */
const ways = ['adopt', 'copy', 'host-copy', 'clone', 'restore', 'new']

/** Steps of one volume, the last word last. */
const steps = ['copy-on-host', 'measure', ...ways, 'verify']

/** Every claim that the journal knows of, in the map's order, and the disks that belong to none; `standing`: failures by step. */
export function volumesOf(
  story: Story,
  finished: boolean,
  standing: ReadonlyMap<string, FaultJson>,
): { volumes: VolumeReport[]; ownerlessDisks: string[] } {
  const last = <T>(step: string, schema: z.ZodType<T>): T | undefined => {
    const found = schema.safeParse(story.traces.get(step)?.checkpoints.at(-1)?.output)
    return found.success ? found.data : undefined
  }
  const known = last('evidence/map-volumes', map)
  const volumes = new Map<string, VolumeReport>()
  // Nothing was compared of them, and they are not empty either.
  const leftAlone = new Set(known?.volumes.filter(v => v.leftToGit !== undefined).map(v => v.claim))
  for (const v of known?.volumes ?? [])
    volumes.set(v.claim, {
      claim: v.claim,
      strategy: v.strategy,
      sizeBytes: v.sizeBytes,
      ...(v.lun ? { lun: { uuid: v.lun.uuid, name: v.lun.name } } : {}),
      ...(v.share ? { share: { uuid: v.share.uuid, name: v.share.name } } : {}),
      sources: v.sources,
      proof: 'missing',
    })
  for (const step of story.traces.keys()) {
    const claim =
      /^volumes\/(?:copy-on-host|measure|verify|adopt|copy|host-copy|clone|restore|new)\[(.*)\]$/.exec(
        step,
      )?.[1]
    if (claim !== undefined && !volumes.has(claim))
      volumes.set(claim, { claim, sources: [], proof: 'missing' })
  }
  for (const volume of volumes.values()) {
    const of = (step: string) => `${step}[${volume.claim}]`
    const measured = last(of('volumes/measure'), content)
    const verified = last(of('volumes/verify'), compared)
    const before = verified?.before ?? measured
    const after = verified?.after
    if (before) volume.before = before
    if (after) volume.after = after
    for (const step of steps) {
      const problem = standing.get(of(`volumes/${step}`))
      if (problem) volume.problem = problem
    }
    const kept = last(of('protect/snapshot'), snapshot)
    if (kept) volume.snapshot = kept.name
    for (const way of ways) {
      const found = last(of(`volumes/${way}`), bound)
      if (found && !undone(story.traces.get(of(`volumes/${way}`)))) volume.back = { by: way, ...found }
    }
    const written = Math.max(
      0,
      ...ways.map(way => story.traces.get(of(`volumes/${way}`))?.intents.at(-1)?.seq ?? 0),
    )
    const verifiedAt = story.traces.get(of('volumes/verify'))?.checkpoints.at(-1)?.seq ?? 0
    // A run that is finished has looked at every step again after its last effect, and writes no record of a look that
    // found the same.
    const current = finished || verifiedAt > written
    const alike = before && after && same(before, after) && (!measured || same(measured, before))
    if (before && after && !alike) volume.proof = 'differs'
    else if (alike && current) volume.proof = 'same'
    else if (volume.back?.by === 'restore') volume.proof = 'from-backup'
    else if (volume.strategy === 'new' && !before && !leftAlone.has(volume.claim))
      volume.proof = 'begins-empty'
  }
  return { volumes: [...volumes.values()], ownerlessDisks: known?.ownerless ?? [] }
}

function same(a: Content, b: Content): boolean {
  return a.sha256 === b.sha256 && a.files === b.files && a.bytes === b.bytes
}

/** Whether an attempt was begun after the last time that its result was seen. */
function undone(trace: Trace | undefined): boolean {
  return (trace?.intents.at(-1)?.seq ?? 0) > (trace?.checkpoints.at(-1)?.seq ?? 0)
}
