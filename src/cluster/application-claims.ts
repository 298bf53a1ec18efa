import type { ApplicationSource } from './applications.ts'
import { type Claim, claimsIn } from './inventory.ts'

/**
 * The claims of a repository as its Applications bring them: in the namespace of their destination where a manifest names
 * none, and from plain folders, too. What no Application brings stays as it stands in Git.
 */
export function claimsAsBrought(claims: Claim[], applications: ApplicationSource[]): Claim[] {
  const brought = new Map<string, Claim>()
  for (const { objects, path } of applications)
    for (const claim of claimsIn(objects, path)) if (!brought.has(claim.id)) brought.set(claim.id, claim)
  const moved = new Set(applications.flatMap(a => a.objects.map(o => o.at)))
  const found: Claim[] = []
  const take = (claim: Claim) => {
    if (!found.some(c => c.id === claim.id)) found.push(claim)
  }
  for (const claim of claims) {
    if (!moved.has(claim.at)) take(claim)
    else for (const now of brought.values()) if (now.at === claim.at) take({ ...now, folder: claim.folder })
  }
  for (const claim of brought.values()) take(claim)
  return found
}

/** Claims that an application's pods mount and that no manifest makes, each with who mounts it. */
export function claimsOutOfNowhere(
  claims: Claim[],
  applications: ApplicationSource[],
): { claim: string; by: string }[] {
  const known = new Set(claims.map(c => c.id))
  return applications.flatMap(a => a.owned).filter(o => !known.has(o.claim))
}
