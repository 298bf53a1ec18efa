import type { Claim } from '../../src/cluster/inventory.ts'

/**
 * Databases whose old data holds passwords of its own, with what must equal them. CloudNativePG sets the application's
 * owner (and `postgres`, where it may log in) to their Secrets' values at every start; all other roles keep what the data
 * says (CloudNativePG 1.30, its instance manager).
 */
export function storedPasswords(
  claims: readonly Pick<Claim, 'id' | 'labels' | 'namespace'>[],
  back: ReadonlySet<string>,
): string[] {
  const clusters = new Map(
    claims
      .filter(c => back.has(c.id) && c.labels['cnpg.io/cluster'] !== undefined)
      .map(c => [`${c.namespace}/${c.labels['cnpg.io/cluster']}`, c.labels['cnpg.io/cluster']]),
  )
  return [...clusters].map(
    ([database, name]) =>
      `The database ${database} is its old one: ${name}-app is set in it anew, all other roles keep the passwords that they had; your secrets for those must equal them`,
  )
}
