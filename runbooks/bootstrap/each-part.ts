import { z } from 'zod'
import { conflictPolicies } from '../../src/kubernetes/field-owners.ts'
import { fanOut } from '../kit.ts'

/** The parts of the bootstrap, in the person's own order: the network, the secrets, Argo CD. */
export const eachPart = fanOut({
  name: 'part',
  schema: z.strictObject({
    name: z.string(),
    before: z.array(z.string()),
    conflicts: z.enum(conflictPolicies),
  }),
  key: part => part.name,
  subjects: ({ cluster }) =>
    cluster.bootstrap.map(({ name, conflicts }, i) => ({
      name,
      conflicts,
      before: cluster.bootstrap.slice(0, i).map(p => p.name),
    })),
})
