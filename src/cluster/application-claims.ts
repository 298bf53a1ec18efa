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
  const broughtAt = new Map<string, Claim[]>()
  for (const claim of brought.values()) {
    const there = broughtAt.get(claim.at)
    if (there) there.push(claim)
    else broughtAt.set(claim.at, [claim])
  }
  const moved = new Set(applications.flatMap(a => a.objects.map(o => o.at)))
  const found = new Map<string, Claim>()
  const take = (claim: Claim) => {
    if (!found.has(claim.id)) found.set(claim.id, claim)
  }
  for (const claim of claims) {
    if (!moved.has(claim.at)) take(claim)
    else for (const now of broughtAt.get(claim.at) ?? []) take({ ...now, folder: claim.folder })
  }
  for (const claim of brought.values()) take(claim)
  return [...found.values()]
}

/** Claims that an application's pods mount and that no manifest makes, each with who mounts it. */
export function claimsOutOfNowhere(
  claims: Claim[],
  applications: ApplicationSource[],
): { claim: string; by: string }[] {
  const known = new Set(claims.map(c => c.id))
  return applications.flatMap(a => a.owned).filter(o => !known.has(o.claim))
}
