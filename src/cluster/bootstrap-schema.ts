import { z } from 'zod'
import { conflictPolicies } from '../kubernetes/field-owners.ts'
import { path, text } from './schema-texts.ts'

const inNamespace = z.string().regex(/^[^/\s]+\/[^/\s]+$/, 'expected namespace/name')

/** A Secret that only the person can give: what decrypts what is in Git (SOPS), what opens the repository. */
const givenSecret = z.strictObject({
  secret: inNamespace.describe('Secret to make: namespace/name'),
  type: text.optional().describe('Opaque by default'),
  data: z
    .record(text, z.string().regex(/^[^.\s]+\.\S+$/, 'expected SECRET.FIELD'))
    .describe('Key in it to SECRET.FIELD, as your sources of secrets know it: age.agekey to sops.age-key'),
})

/** What must be seen before a part counts as done. */
const proof = z.union([
  z.strictObject({
    secret: inNamespace.describe('A Secret that somebody in the cluster makes: namespace/name'),
    key: text.optional().describe('With something under this key'),
  }),
  z.strictObject({
    apiVersion: text,
    kind: text,
    namespace: text.optional(),
    name: text,
    condition: text
      .optional()
      .describe('Condition that must be True; a workload must be ready where none is named'),
  }),
])

/** One part of the bootstrap, where they are named one by one. */
export const bootstrapPart = z
  .strictObject({
    name: text,
    rendered: path.optional().describe('File of manifests, rendered once'),
    kustomize: path.optional().describe('Folder of a kustomization, rendered by the run'),
    secrets: z.array(givenSecret).optional().describe('Secrets that are made before it is applied'),
    proof: z.array(proof).optional().describe('What must be seen, besides its own workloads being ready'),
    conflicts: z
      .enum(conflictPolicies)
      .optional()
      .describe(
        'Who is right where somebody else manages a field: by-manager (the default: people’s and deployment tools’ values are replaced, controllers keep theirs), take, leave or stop',
      ),
  })
  .refine(p => p.rendered === undefined || p.kustomize === undefined, 'is either rendered or kustomize')
  .refine(
    p =>
      p.rendered !== undefined ||
      p.kustomize !== undefined ||
      p.secrets !== undefined ||
      p.proof !== undefined,
    'needs rendered or kustomize',
  )
