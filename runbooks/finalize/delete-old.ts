import { z } from 'zod'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import type { OldDisk } from '../../src/volumes/old-disks.ts'
import { type Readers, step } from '../kit.ts'
import { eachOld, kinds, listOld } from './list-old.ts'

/** One LUN, share or snapshot that a person has named and agreed to, gone; of a LUN its mapping first, its target last. */
export const deleteOld = step({
  id: 'finalize/delete',
  title: old => `Delete the ${kinds[old.kind]} ${old.name}`,
  byHand:
    'In SAN Manager unmap the LUN from its target, delete the LUN, then the target; in Control Panel delete the share.',
  each: eachOld,
  needs: [listOld],
  danger: 'destroys',
  bounds: { expected: '5s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({}),
  async observe({ old, nas }) {
    const left = await traces(old, nas)
    return left.length === 0
      ? done({}, `${old.name} (${old.uuid}) is not on the NAS any more`)
      : due(...left.map(what => `delete ${what}`))
  },
  async victims({ old }) {
    const { kind, uuid, name, sizeBytes, claim, run, replacedBy } = old
    return [
      {
        kind: kinds[kind],
        name,
        identity: { uuid, name, size: sizeBytes },
        content: [
          replacedBy === undefined
            ? `${claim} as it was before run ${run}`
            : `the data of ${claim} until run ${run}, in whose place ${replacedBy} is now`,
        ],
      },
    ]
  },
  async apply({ old, nas, kubernetes }) {
    const { kind, uuid, name, of = '', time = '' } = old
    if (kind === 'snapshot') return nas.deleteSnapshot({ uuid, lun: of, name })
    if (kind === 'share-snapshot') return nas.deleteShareSnapshot({ share: of, time, description: name })
    await mustBeIdle(old, { nas, kubernetes })
    if (kind === 'share') return nas.deleteShare({ uuid, name })
    await nas.deleteLun({ uuid: old.uuid, name: old.name, sizeBytes: old.sizeBytes })
  },
})

async function traces(old: OldDisk, nas: Readers['nas']): Promise<string[]> {
  const { kind, of = '' } = old
  if (kind === 'share')
    return (await nas.shares()).some(s => s.uuid === old.uuid) ? [`share ${old.name}`] : []
  if (kind === 'share-snapshot')
    return (await nas.shareSnapshots(of)).some(s => s.time === old.time)
      ? [`snapshot ${old.time} of a share`]
      : []
  const luns = await nas.luns()
  if (kind === 'snapshot') {
    if (!luns.some(l => l.uuid === of)) return []
    return (await nas.snapshots(of)).some(s => s.uuid === old.uuid) ? [`snapshot ${old.name}`] : []
  }
  const targets = await nas.targets()
  return [
    ...(luns.some(l => l.uuid === old.uuid) ? [`LUN ${old.name}`] : []),
    // A run may have ended between the LUN and its target.
    ...(targets.some(t => t.name === old.name && t.mappings.every(m => m.lun === old.uuid))
      ? [`target ${old.name}`]
      : []),
  ]
}

/** By its handle; the CSI driver mounts a share by what its attributes name. */
function leadsTo(spec: unknown, { kind, uuid, name }: OldDisk): boolean {
  const csi = (
    spec as { csi?: { volumeHandle?: string; volumeAttributes?: Record<string, string> } } | undefined
  )?.csi
  return (
    csi?.volumeHandle === uuid ||
    (kind === 'share' && (csi?.volumeAttributes?.source ?? '').split('/').at(-1) === name)
  )
}

/** Nobody is logged in to it and no volume of the cluster leads to it, at this very moment. Throws Fault `lun-in-use`. */
async function mustBeIdle(
  old: OldDisk,
  { nas, kubernetes }: Pick<Readers, 'nas' | 'kubernetes'>,
): Promise<void> {
  const leading = (await nas.targets()).filter(t => t.mappings.some(m => m.lun === old.uuid))
  const volumes = await kubernetes.list({ apiVersion: 'v1', kind: 'PersistentVolume' })
  const users = [
    ...leading.flatMap(t => t.sessions.map(s => `${s.initiator} at ${s.ip} is logged in to it`)),
    ...volumes
      .filter(({ spec }) => leadsTo(spec, old))
      .map(v => `the PersistentVolume ${v.metadata.name} leads to it`),
    // Without a single volume it is hardly the cluster whose disks these are.
    ...(volumes.length === 0
      ? ['the cluster that was asked has no volume at all, so that it may be another one']
      : []),
  ]
  if (users.length === 0) return
  throw new Fault({
    code: 'lun-in-use',
    blame: 'operator',
    message: `${old.name} (${old.uuid}) was not deleted: ${users.join('; ')}`,
    remedy: 'Find out what still uses it; a disk that is in use is none of the old ones',
  })
}
