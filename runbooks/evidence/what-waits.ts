import { z } from 'zod'
import type { KnownApplication } from '../../src/gitops/application.ts'
import { done } from '../../src/runbook/step.ts'
import { knownApplications } from '../applications/each-application.ts'
import { step } from '../kit.ts'

const shown = z.strictObject({
  application: z.string(),
  held: z.boolean(),
  why: z.string(),
  claims: z.array(z.string()),
  after: z.array(z.string()),
})

/** What will be held back until its data is there, and what comes at once: told before anything is held. */
export const whatWaits = step({
  id: 'evidence/what-waits',
  title: 'Tell which applications wait for their data',
  byHand:
    'List for each Application whose pods mount a claim, which StatefulSets and operators make claims, and which Applications bring others: those wait.',
  danger: 'reads',
  serves: ['bootstrap', 'volumes', 'applications'],
  bounds: { expected: '1s', limit: '1m' },
  output: z.strictObject({ applications: z.array(shown) }),
  async observe({ cluster }) {
    const applications = knownApplications(cluster)
    const held = applications.filter(a => a.held)
    return done(
      {
        applications: applications.map(({ name, held, why, claims, after }) => ({
          application: name,
          held,
          why,
          claims,
          after,
        })),
      },
      `${held.length} of ${applications.length} applications are held back until their data is there${held.length > 0 ? `: ${held.map(a => a.name).join(', ')}` : ''}`,
      { table: { columns: ['APPLICATION', 'IS', 'CLAIMS', 'WHY'], rows: applications.map(row) } },
    )
  },
})

function row({ name, held, why, claims, after, parent }: KnownApplication): string[] {
  const last = held && !parent && after.length > 0 ? `${why}; after ${after.join(', ')}` : why
  return [name, held ? 'held' : 'let through', claims.join(', '), last]
}
