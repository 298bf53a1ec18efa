import { z } from 'zod'
import { conflictPolicies } from '../../src/kubernetes/field-owners.ts'
import { fanOut } from '../kit.ts'

const from = z.strictObject({ secret: z.string(), field: z.string() })

/** The parts of the bootstrap, in the person's own order: the network, the secrets, Argo CD. */
export const eachPart = fanOut({
  name: 'part',
  schema: z.strictObject({
    name: z.string(),
    before: z.array(z.string()),
    conflicts: z.enum(conflictPolicies),
    secrets: z.array(
      z.strictObject({
        namespace: z.string(),
        name: z.string(),
        type: z.string(),
        data: z.record(z.string(), from),
      }),
    ),
  }),
  key: part => part.name,
  subjects: ({ cluster }) =>
    cluster.bootstrap.map(({ name, conflicts, secrets }, i) => ({
      name,
      conflicts,
      secrets,
      before: cluster.bootstrap.slice(0, i).map(p => p.name),
    })),
})
