import { z } from 'zod'

/** An Argo CD Application that comes back, and what it means for volumes. */
export const knownApplication = z.strictObject({
  name: z.string(),
  namespace: z.string(),
  /** Folder in the repository that it renders. */
  path: z.string(),
  /** Claims that its folder holds: `namespace/name`. It must not start before they have their data. */
  claims: z.array(z.string()),
  /** It brings other Applications, which it would start by itself: released last. */
  parent: z.boolean(),
  /** It brings what volumes need (a CSI driver, a StorageClass): let through first. */
  storage: z.boolean(),
  /** argocd.argoproj.io/sync-wave. */
  wave: z.number(),
  /** Held applications that must be well before this one is released. */
  after: z.array(z.string()),
})

export type KnownApplication = z.infer<typeof knownApplication>

/** Whether an Application is held back until its volumes are there. */
export function isHeld(application: Pick<KnownApplication, 'claims' | 'parent'>): boolean {
  return application.claims.length > 0 || application.parent
}
