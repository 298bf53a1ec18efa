import { lunNamed, shareNamed } from '../../src/nas/lists.ts'
import type { Looking } from '../../src/runbook/step.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import { strangerFault, strangers } from '../../src/volumes/strangers.ts'
import { mapTheVolumes } from '../evidence/map-volumes.ts'
import type { Readers } from '../kit.ts'
import { bindingAs, volumeOf } from './binding.ts'
import { hostCopyOf, keptCloneName, keptShareName } from './source.ts'

/**
 * Raises the alarm when somebody had an empty disk made for a claim whose data lies elsewhere. Asked before and while
 * claims are bound and applications released. Throws Fault `empty-disk-made`.
 */
export async function noStrangers({
  kubernetes,
  nas,
  run,
  output,
}: Pick<Readers, 'kubernetes' | 'nas' | 'run'> & Pick<Looking, 'output'>): Promise<void> {
  const { volumes, ownerless } = output(mapTheVolumes)
  const luns = await nas.luns()
  const shares = await nas.shares()
  // Lists, since this is asked for every volume of a run. A volume that a listed claim is bound to is there by then.
  const live = await kubernetes.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' })
  const pvs = volumes.some(isCopied)
    ? await kubernetes.list({ apiVersion: 'v1', kind: 'PersistentVolume' })
    : []
  const liveOf = new Map(live.map(c => [`${c.metadata.namespace}/${c.metadata.name}` as string, c]))
  const pvOf = new Map(pvs.map(pv => [pv.metadata.name, pv]))
  const claims = volumes
    .filter(v => diskHolding(v) !== undefined)
    .map(volume => {
      // This run has new disks made for what it copies: whatever such a claim is bound to is its own.
      const now = liveOf.get(volume.claim)
      const binding = isCopied(volume) ? bindingAs(now, pvOf.get(volumeOf(now))) : undefined
      const own = [keptCloneName(volume, run), keptShareName(volume, run), hostCopyOf(volume, run).disk]
      const uid = now?.metadata.uid
      return {
        claim: volume.claim,
        ...(uid === undefined ? {} : { uid }),
        known: [
          diskHolding(volume)!.uuid,
          ...own.flatMap(name => lunNamed(luns, name)?.uuid ?? []),
          ...own.flatMap(name => shareNamed(shares, name)?.uuid ?? []),
          ...(binding?.state === 'bound' ? [binding.handle] : []),
        ],
        // Between the making of its disk and its being bound a copy's claim cannot be told from a stranger's.
        making: binding !== undefined && binding.state !== 'bound',
      }
    })
  const found = strangers(
    [...luns, ...shares],
    claims.filter(c => !c.making),
    ownerless,
  )
  if (found.length > 0) throw strangerFault(found)
}

function isCopied({ strategy }: MappedVolume): boolean {
  return strategy === 'copy'
}
