import { z } from 'zod'

const text = z.string().min(1)
const path = text.describe('Path, relative to this file')
const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in 64 lower-case hex digits')
  .describe('SHA-256 in hex')
const fingerprint = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'expected a fingerprint like sha256:0123… with 64 hex digits')
  .describe('SHA-256 of the certificate; nothing is sent to a server that shows another one')
const duration = z.string().regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'expected a duration like 90s or 10m')

/** How a volume comes back. */
export const strategies = ['adopt', 'copy', 'new'] as const
export type Strategy = (typeof strategies)[number]

/** The rungs of the install ladder, by name. */
export const rungs = ['ssh', 'by-hand'] as const

const strategy = z
  .enum(strategies)
  .describe('adopt: the old disk itself; copy: its files to a new one; new: an empty disk')

const host = z.strictObject({
  address: text.describe(
    'Literal address; a DNS name that this very cluster serves does not resolve while it is dead',
  ),
  port: z.int().min(1).max(65535).optional().describe('SSH port; 22 by default'),
  user: text.optional().describe('SSH user; core by default'),
  ignition: path.describe('Ready-made Ignition config'),
  image: z.strictObject({ file: path, sha256 }).optional().describe('System image to install'),
  disk: z
    .strictObject({ serial: text.optional(), wwn: text.optional() })
    .refine(d => d.serial !== undefined || d.wwn !== undefined, 'needs a serial or a wwn')
    .describe('The only disk that may ever be wiped'),
  install: z
    .array(z.enum(rungs))
    .min(1)
    .describe('Ways to get it installed, in the order in which they are tried'),
})

const check = z.strictObject({
  http: z.url().describe('Address that must answer when all is well'),
  status: z.int().optional().describe('Expected status; 200 by default'),
  contains: text.optional().describe('Text that the answer must hold'),
})

/** recover.yaml: what cannot be read in the person's other files. No transforms: editors get the same schema. */
export const clusterFile = z
  .strictObject({
    cluster: text.describe('Name of the cluster'),
    k0sctl: path.describe('k0sctl.yaml'),
    gitops: z.strictObject({
      repository: path.describe('Root of the GitOps repository'),
      remote: text.optional().describe('URL from which Argo CD reads the repository'),
      bootstrap: z
        .union([path, z.array(z.strictObject({ name: text, rendered: path }))])
        .describe('Kustomization of the bootstrap, or its parts rendered, in order'),
      applications: z
        .union([
          path,
          z.strictObject({
            generate: z
              .array(text)
              .min(1)
              .describe('Folders that become one Application each: applications/*'),
            project: text.optional(),
          }),
        ])
        .describe('Folder of Argo CD Applications, or how to make them when none is in Git'),
    }),
    hosts: z.record(text, host),
    nas: z.strictObject({
      synology: z.url().describe('https://ADDRESS:5001'),
      fingerprint,
      credentials: text.describe('Name of the secret with username and password'),
    }),
    secrets: z.strictObject({
      from: z.array(z.enum(['environment', 'onepassword', 'bundle', 'file'])).min(1),
      vault: text.optional(),
      file: path.optional(),
    }),
    volumes: z
      .object({ default: strategy })
      .catchall(strategy)
      .describe('How each volume comes back: namespace/claim to a strategy'),
    checks: z.array(check).optional(),
    tools: z
      .strictObject({
        k0sctl: path.optional(),
        jobImage: text
          .optional()
          .describe('Image with sh, coreutils and rsync, for the Jobs that hash and copy files'),
      })
      .optional(),
    timeouts: z.record(text, duration).optional().describe('Longer limits: step id to a duration'),
  })
  .describe('recover.yaml: what recover cannot read in your other files')

export type ClusterFile = z.infer<typeof clusterFile>
export type HostEntry = z.infer<typeof host>
export type CheckEntry = z.infer<typeof check>

/** JSON Schema for editors. */
export function clusterFileJsonSchema(): object {
  return { $id: 'recover.schema.json', title: 'recover.yaml', ...z.toJSONSchema(clusterFile) }
}
