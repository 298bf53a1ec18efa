import { z } from 'zod'
import { blocked, done } from '../../src/runbook/step.ts'
import { ageInDays, graceDays, type OldDisk, oldDisk, oldDisks } from '../../src/volumes/old-disks.ts'
import { fanOutFrom, type Readers, step } from '../kit.ts'
import { reachNas } from '../preflight/reach-nas.ts'

/** What former runs left behind, and of that what a person has named by its uuid. */
export const listOld = step({
  id: 'finalize/list-old',
  title: 'List what former runs left behind',
  byHand:
    'In SAN Manager list LUNs whose target is off, in Control Panel shares whose NFS rules let nobody in, and snapshots called recover-….',
  needs: [reachNas],
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 3, delay: '2s' },
  holdsUntil: 'finalize/delete',
  uses: () => ['nas'],
  output: z.strictObject({ chosen: z.array(oldDisk) }),
  async observe(look) {
    const { asked } = look
    const old = await leftBehind(look)
    const table = {
      columns: ['WHAT', 'UUID', 'NAME', 'BYTES', 'DAYS', 'OF', 'REPLACED BY', 'LOGGED IN'],
      rows: old.map(row),
    }
    const unknown = asked.chosen.filter(uuid => !old.some(o => o.uuid === uuid))
    if (unknown.length > 0)
      return blocked(
        'not-left-behind',
        `no finished run left ${unknown.join(', ')} behind, or it is gone`,
        '`recover volumes finalize` lists what may be deleted; anything else only by hand, on the NAS',
      )
    const chosen = old.filter(o => asked.chosen.includes(o.uuid))
    const young = chosen.filter(o => ageInDays(o, new Date()) < graceDays)
    if (young.length > 0 && !asked.atOnce)
      return blocked(
        'grace-period',
        `${young.map(o => `${o.name} (${o.uuid})`).join(', ')} was left behind less than ${graceDays} days ago`,
        'Wait until you are sure of the new disks, or say --at-once',
      )
    return done(
      { chosen },
      `${old.length} disks and snapshots were left behind by former runs; ${chosen.length} of them are to be deleted`,
      { table },
    )
  },
})

/** Everything that finished runs on this cluster left behind and that is still on the NAS. */
export async function leftBehind({ former, nas }: Pick<Readers, 'former' | 'nas'>): Promise<OldDisk[]> {
  const runs = former()
  const luns = await nas.luns()
  const targets = await nas.targets()
  const shares = await nas.shares()
  const of = new Set(runs.flatMap(r => r.volumes.map(v => v.disk)))
  const snapshots = []
  for (const lun of luns.filter(l => of.has(l.uuid))) snapshots.push(...(await nas.snapshots(lun.uuid)))
  const shareSnapshots = []
  for (const { uuid } of shares.filter(s => of.has(s.uuid)))
    for (const taken of await nas.shareSnapshots(uuid)) shareSnapshots.push({ ...taken, share: uuid })
  return oldDisks(runs, { luns, targets, snapshots, shares, shareSnapshots })
}

/** What each is called to people. */
export const kinds: Record<OldDisk['kind'], string> = {
  lun: 'LUN',
  snapshot: 'snapshot',
  share: 'share',
  'share-snapshot': 'snapshot of a share',
}

function row(old: OldDisk): string[] {
  return [
    kinds[old.kind],
    old.uuid,
    old.name,
    String(old.sizeBytes),
    String(ageInDays(old, new Date())),
    old.claim,
    old.replacedBy ?? 'nothing: it is the way back',
    old.sessions.join(', ') || 'nobody',
  ]
}

/** Everything that was named. */
export const eachOld = fanOutFrom(listOld, {
  name: 'old',
  schema: oldDisk,
  key: old => old.uuid,
  subjects: found => found.chosen,
})
