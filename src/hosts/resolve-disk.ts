import { Fault } from '../runbook/fault.ts'
import type { Disk } from './disks.ts'
import type { HostFacts } from './facts.ts'

/** What a person names a disk by; any one of these that is given must fit. */
export interface DiskSelector {
  serial?: string | undefined
  wwn?: string | undefined
}

/** The one disk that fits. Throws Fault `disk-not-found` or `disk-ambiguous`, naming what is there. */
export function resolveDisk(facts: HostFacts, selector: DiskSelector, host: string): Disk {
  const wanted = [selector.serial && `serial ${selector.serial}`, selector.wwn && `WWN ${selector.wwn}`]
    .filter(Boolean)
    .join(' and ')
  const found = facts.disks.filter(
    d =>
      (selector.serial !== undefined || selector.wwn !== undefined) &&
      (selector.serial === undefined || d.serial === selector.serial) &&
      (selector.wwn === undefined || d.wwn === selector.wwn),
  )
  if (found.length === 1) return found[0]!
  const there = facts.disks.map(d => `/dev/${d.name} (${d.model}, serial ${d.serial || 'none'})`).join(', ')
  throw new Fault({
    code: found.length === 0 ? 'disk-not-found' : 'disk-ambiguous',
    blame: 'operator',
    message: `${host} has ${found.length === 0 ? 'no disk' : `${found.length} disks`} with ${wanted}; it has ${there || 'no disks'}. Nothing was written`,
    remedy:
      'Check that this is the right machine and that recover.yaml names the right disk (hosts.….disk), by its serial or WWN',
  })
}
