import { done, due, type Observation } from '../../src/runbook/step.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import type { Readers } from '../kit.ts'
import { shareNow } from './share-now.ts'

/**
 * Whether the NFS rules of a volume's old share let nobody in. That is what a NAS offers in the place of a target that is
 * switched off: it has no list of who has a share mounted, and SMB and its own file manager are not closed by it.
 */
export async function lookAtShareRules(
  volume: MappedVolume,
  { nas }: Pick<Readers, 'nas'>,
): Promise<Observation<{ target: string }>> {
  const { name, clients } = await shareNow(volume, nas)
  const open = clients.filter(c => c.may !== 'nothing').map(c => c.client)
  return open.length === 0
    ? done(
        { target: '' },
        `the NFS rules of the share ${name} let nobody in; who has it mounted DSM does not tell`,
      )
    : due(`take ${open.join(', ')} out of those whom the NFS rules of the share ${name} let in`)
}
