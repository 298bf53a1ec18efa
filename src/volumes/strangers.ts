import { Fault } from '../runbook/fault.ts'

/** What is known of a claim's disks: those that may carry its name. */
export interface ClaimDisks {
  claim: string
  /** LUNs, by uuid, that hold or may hold its data: the old one, a kept clone, this run's copy. */
  known: readonly string[]
}

/**
 * LUNs that carry a claim's name and were not there when the map was made: somebody had a new, empty disk provisioned for
 * a claim whose data lies elsewhere, and whatever starts on it begins anew.
 * @param before names of LUNs that belonged to no claim when the map was made
 */
export function strangers(
  luns: readonly { uuid: string; name: string; description: string }[],
  claims: readonly ClaimDisks[],
  before: readonly string[],
): { claim: string; uuid: string; name: string }[] {
  return luns.flatMap(lun => {
    const owner = claims.find(c => c.claim === lun.description)
    const strange = owner !== undefined && !owner.known.includes(lun.uuid) && !before.includes(lun.name)
    return strange ? [{ claim: owner.claim, uuid: lun.uuid, name: lun.name }] : []
  })
}

/** The alarm. */
export function strangerFault(found: readonly { claim: string; uuid: string; name: string }[]): Fault {
  return new Fault({
    code: 'empty-disk-made',
    blame: 'operator',
    message: `somebody had a new disk made for ${found.map(f => `${f.claim} (${f.name}, ${f.uuid})`).join(', ')} while its data lies on another; an application that starts on it begins anew`,
    remedy:
      'Find out who applied the claim (Argo CD, an operator), delete that claim and hold its owner back (`kubectl delete pvc`); then run `recover resume`',
  })
}
