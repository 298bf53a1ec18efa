import { shareOf } from '../../src/nas/lists.ts'
import type { NasReader, Share } from '../../src/nas/nas.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'

/** The share that holds a volume's data, as the NAS lists it now. Throws Fault `share-gone`. */
export async function shareNow(volume: MappedVolume, nas: NasReader): Promise<Share> {
  const { uuid, name } = volume.share!
  const share = shareOf(await nas.shares(), uuid)
  if (share) return share
  throw new Fault({
    code: 'share-gone',
    blame: 'operator',
    message: `the share ${name} (${uuid}), which held the data of ${volume.claim}, is not on the NAS any more`,
    remedy:
      'Find out who deleted it. If it is lost, say `restore` or `new` for the claim in recover.yaml (volumes) and begin a new run',
  })
}
