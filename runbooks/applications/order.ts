import type { ApplicationSource } from '../../src/cluster/applications.ts'
import type { KnownApplication } from '../../src/gitops/application.ts'

/** Names of the applications that must be well before this one is released. */
export function orderOf(application: KnownApplication): readonly string[] {
  return application.after
}

/**
 * Lower sync waves first; whatever brings other Applications last of all, since it would start them by itself.
 * @param held names of those that are held back
 */
export function releaseOrder(
  application: Pick<ApplicationSource, 'name' | 'wave' | 'parent'>,
  held: Pick<ApplicationSource, 'name' | 'wave' | 'parent'>[],
): string[] {
  return held
    .filter(other => other.name !== application.name)
    .filter(other =>
      application.parent !== other.parent ? application.parent : other.wave < application.wave,
    )
    .map(other => other.name)
}
