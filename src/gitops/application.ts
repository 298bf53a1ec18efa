import { z } from 'zod'
import { deliverers } from './delivery.ts'

/** An Application of Argo CD's, or a Kustomization of Flux's, that comes back, and what it means for volumes. */
export const knownApplication = z.strictObject({
  name: z.string(),
  namespace: z.string(),
  /** Who brings it from Git. */
  by: z.enum(deliverers),
  /** Folder in the repository that it renders. */
  path: z.string(),
  /** Claims that its data is in: `namespace/name`. It must not start before they have it. */
  claims: z.array(z.string()),
  /** It brings other Applications, which it would start by itself: released after them. */
  parent: z.boolean(),
  /** It brings what volumes need (a CSI driver, a StorageClass): let through first. */
  storage: z.boolean(),
  /** Held back until the volumes are there. */
  held: z.boolean(),
  /** Why it is held or let through. */
  why: z.string(),
  /** Held applications that must be well before this one is released. */
  after: z.array(z.string()),
})

export type KnownApplication = z.infer<typeof knownApplication>

/** Whether an Application is held back until its volumes are there. */
export function isHeld(application: Pick<KnownApplication, 'held'>): boolean {
  return application.held
}
