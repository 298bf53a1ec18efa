import type { ApplicationSource } from './applications.ts'

/** Whether an application is held back until the volumes are there, and a person's reason for it. */
export interface Hold {
  held: boolean
  why: string
}

/**
 * Held is what owns data, what may own some, and what brings other Applications; let through is what volumes need and
 * what owns nothing.
 * @param choice what recover.yaml says of it, if it does
 */
export function holdOf(
  application: Pick<ApplicationSource, 'owned' | 'doubts' | 'brings' | 'parent' | 'storage'>,
  choice?: boolean,
): Hold {
  const { owned, doubts, brings, parent, storage } = application
  if (owned.length > 0)
    return { held: true, why: `its data is in ${[...new Set(owned.map(o => o.by))].join(', ')}` }
  if (parent)
    return {
      held: true,
      why: brings.length > 0 ? `it brings ${brings.join(', ')}` : 'it brings other Applications',
    }
  if (storage) return { held: false, why: 'volumes need it' }
  if (choice !== undefined) return { held: choice, why: 'recover.yaml says so' }
  if (doubts.length > 0) return { held: true, why: `it may own data: ${doubts.join('; ')}` }
  return { held: false, why: 'it owns no data' }
}
