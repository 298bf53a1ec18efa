import { Fault } from '../runbook/fault.ts'

/** What is known of a claim's disks: those that may carry its name. */
export interface ClaimDisks {
  claim: string
  /** LUNs and shares, by uuid, that hold or may hold its data: the old one, a kept clone, this run's copy. */
  known: readonly string[]
  /** UID of the claim that the cluster has now: the CSI driver names what it makes for it by that. */
  uid?: string
}

/** Names of shares are cut off here. */
const longestShareName = 32

/**
 * LUNs and shares that carry a claim's name, or the uid of the claim that is there now, and were not there when the map was
 * made: somebody had a new, empty disk provisioned for a claim whose data lies elsewhere, and whatever starts on it begins
 * anew. A share's description says nothing of whose it is.
 * @param before names of LUNs and shares that belonged to no claim when the map was made
 */
export function strangers(
  disks: readonly { uuid: string; name: string; description: string }[],
  claims: readonly ClaimDisks[],
  before: readonly string[],
): { claim: string; uuid: string; name: string }[] {
  const byId = new Map(claims.map(c => [c.claim, c]))
  const byName = new Map(claims.flatMap(c => namesAfter(c).map(name => [name, c])))
  const nobodys = new Set(before)
  return disks.flatMap(({ uuid, name, description }) => {
    const unaware = [byId.get(description), byName.get(name)].find(c => c && !c.known.includes(uuid))
    return unaware && !nobodys.has(name) ? [{ claim: unaware.claim, uuid, name }] : []
  })
}

/** What the CSI driver calls a disk that it makes for the claim that is there now: a LUN, or a share. */
function namesAfter({ uid }: ClaimDisks): string[] {
  if (uid === undefined) return []
  const whole = `k8s-csi-pvc-${uid}`
  return [whole, whole.slice(0, longestShareName)]
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
