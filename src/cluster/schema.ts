import { z } from 'zod'
import { bootstrapPart } from './bootstrap-schema.ts'
import { check } from './check-schema.ts'
import { nas } from './nas-schema.ts'
import { duration, fingerprint, path, sha256, text } from './schema-texts.ts'

/** How a volume comes back. */
export const strategies = ['adopt', 'clone', 'copy', 'host-copy', 'restore', 'new'] as const
export type Strategy = (typeof strategies)[number]

/** The rungs of the install ladder, by name. */
export const rungs = ['flatcar-reset', 'ssh', 'kexec', 'pxe', 'virtual-media', 'by-hand'] as const
export type RungName = (typeof rungs)[number]

const strategy = z
  .enum(strategies)
  .describe(
    'adopt: the old disk itself; clone: a clone of it, made on the NAS; copy: its files to a new one, by a Job; host-copy: the same on a machine, without the cluster; restore: a backup of them to a new one; new: an empty disk',
  )

const mac = z
  .string()
  .regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, 'expected a MAC address like 52:54:00:12:34:56, in lower case')

/** A downloaded file that must be whole: by its hash, or by its publisher's signature. */
const artifact = z
  .strictObject({
    file: path,
    sha256: sha256.optional(),
    signature: path.optional().describe('Detached OpenPGP signature, as published beside the file'),
  })
  .refine(a => a.sha256 !== undefined || a.signature !== undefined, 'needs a sha256 or a signature')

const machine = text
  .optional()
  .describe(
    'Serial, UUID or a MAC address of the machine as its BMC reports it; its power is not touched where another one is told. `unchecked` where the BMC reports none and you vouch for it',
  )

const power = z.union([
  z.strictObject({
    redfish: z.url().describe('https://ADDRESS of the BMC'),
    fingerprint,
    credentials: text.describe('Name of the secret with username and password'),
    machine,
  }),
  z.strictObject({
    ipmi: text.describe('Address of the BMC, with :PORT where it is not 623'),
    credentials: text.describe('Name of the secret with username and password'),
    cipher: z
      .union([z.literal(3), z.literal(17)])
      .optional()
      .describe('Cipher suite; 3, then 17 by default'),
    firmware: z.enum(['uefi', 'bios']).optional().describe('How the machine boots; uefi by default'),
    machine,
  }),
  z.strictObject({
    wakeOnLan: mac.describe('MAC address that wakes it; it cannot be switched off or asked'),
  }),
])

const host = z.strictObject({
  address: text.describe(
    'Literal address; a DNS name that this very cluster serves does not resolve while it is dead',
  ),
  port: z.int().min(1).max(65535).optional().describe('SSH port; 22 by default'),
  user: text.optional().describe('SSH user; core by default'),
  mac: mac.optional().describe('Of the interface by which it boots from the network'),
  ignition: path.describe(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable as it is written in a Butane file
    'Butane file (.bu, .fcc), in which ${NAME} is the field NAME of the secret ignition, or a variable of the environment; or a ready-made Ignition config (.ign, .json)',
  ),
  filesDir: path
    .optional()
    .describe('Where `local:` files of the Butane file lie; its own folder by default'),
  image: artifact
    .safeExtend({ version: text.optional().describe('Its release, as /etc/os-release will say: 4593.2.5') })
    .optional()
    .describe('System image to install'),
  disk: z
    .strictObject({ serial: text.optional(), wwn: text.optional() })
    .refine(d => d.serial !== undefined || d.wwn !== undefined, 'needs a serial or a wwn')
    .describe('The only disk that may ever be wiped'),
  install: z
    .array(z.enum(rungs))
    .min(1)
    .describe('Ways to get it installed, in the order in which they are tried'),
  power: power.optional().describe('How it is switched on, off and told what to boot'),
})

/** recover.yaml: what cannot be read in the person's other files. No transforms: editors get the same schema. */
export const clusterFile = z
  .strictObject({
    cluster: text.describe('Name of the cluster'),
    k0sctl: path.describe('k0sctl.yaml'),
    gitops: z.strictObject({
      repository: path.describe('Root of the GitOps repository'),
      remote: text.optional().describe('URL from which Argo CD reads the repository'),
      serve: z
        .strictObject({
          address: text.describe('Address of this computer as the cluster sees it'),
          port: z.int().min(1).max(65535).optional().describe('TCP port; 9419 by default'),
        })
        .optional()
        .describe(
          'Where a run serves the kit’s mirror to Argo CD when `remote` cannot be read; not at all when absent',
        ),
      bootstrap: z
        .union([path, z.array(bootstrapPart)])
        .describe('Kustomization of the bootstrap, or its parts in order'),
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
          z.strictObject({
            flux: path.describe('Folder that Flux’s first Kustomization applies: clusters/home'),
          }),
        ])
        .optional()
        .describe(
          'Folder of Argo CD Applications, or how to make them when none is in Git, or Flux’s folder; absent where nothing of the kind is used',
        ),
    }),
    applications: z
      .record(
        text,
        z.strictObject({
          hold: z
            .boolean()
            .optional()
            .describe(
              'Whether it waits for the volumes, where its manifests do not tell whether it owns data',
            ),
          after: z
            .array(text)
            .min(1)
            .optional()
            .describe('Applications that must be well before it is released, besides what sync waves say'),
        }),
      )
      .optional()
      .describe('What manifests do not say of Argo CD Applications: name to hold and order'),
    hosts: z.record(text, host),
    installer: z
      .strictObject({
        kernel: artifact,
        initrd: artifact,
        iso: artifact.optional().describe('The same installer as an image for virtual media'),
        arguments: text.optional().describe('More kernel arguments: console=ttyS0'),
      })
      .optional()
      .describe('The installer that kexec, pxe and virtual-media start in the memory of a machine'),
    netboot: z
      .strictObject({
        address: text.describe('Address of this computer as the machines see it'),
        interface: text.optional().describe('Network interface with that address; found by default'),
        port: z
          .int()
          .min(1)
          .max(65535)
          .optional()
          .describe('TCP port of the installer’s files; 8473 by default'),
      })
      .optional()
      .describe('How machines that boot from the network reach this computer'),
    ssh: z
      .strictObject({
        transport: z
          .enum(['builtin', 'openssh'])
          .describe('openssh: your own ssh with ~/.ssh/config, jump hosts, certificates and hardware keys'),
        config: path.optional().describe('Instead of ~/.ssh/config'),
      })
      .optional()
      .describe('How machines are reached; by the built-in client when absent, and in every rehearsal'),
    nas,
    kit: text
      .optional()
      .describe(
        'Folder for what the network may not give in an outage: Helm charts, remote bases, what hosts fetch at their first boot. `recover render --fill-kit` fills it',
      ),
    secrets: z.strictObject({
      from: z.array(z.enum(['environment', 'onepassword', 'bundle', 'file'])).min(1),
      vault: text.optional(),
      file: path.optional(),
      probe: text
        .optional()
        .describe(
          'Item by which 1Password in the cluster is proven (vaults/VAULT/items/ITEM); the first that Git asks for by default',
        ),
    }),
    volumes: z
      .object({ default: strategy })
      .catchall(strategy)
      .describe('How each volume comes back: namespace/claim to a strategy'),
    copyOn: text
      .optional()
      .describe('Host that copies what comes back by host-copy; the last one in k0sctl.yaml by default'),
    giveUp: z
      .record(text, z.array(z.enum(['acls', 'attributes'])).min(1))
      .optional()
      .describe(
        'What a claim’s files may lose where they are copied to a share of NFS, which does not carry it: namespace/claim to acls, attributes',
      ),
    luns: z
      .record(text, text)
      .optional()
      .describe('Which LUN holds a claim’s data, namespace/claim to its uuid, where other sources disagree'),
    backups: z
      .record(
        text,
        z.strictObject({
          restic: text.describe(
            'Name of the secret with the fields RESTIC_REPOSITORY and RESTIC_PASSWORD, and those of `fields`',
          ),
          fields: z
            .array(
              z
                .string()
                .regex(/^[A-Z][A-Z0-9_]*$/, 'expected the name of a variable, such as AWS_ACCESS_KEY_ID'),
            )
            .optional()
            .describe('Further fields of that secret that restic wants in its environment'),
          path: z
            .string()
            .regex(/^\/$|^(\/[^/]+)+$/, 'expected an absolute path such as /data')
            .describe('Folder of the snapshot that is the root of the volume; / for backups of VolSync'),
          host: text.optional().describe('Only snapshots of this host; volsync for backups of VolSync'),
          tags: z.array(text).min(1).optional().describe('Only snapshots with all of these tags'),
          snapshot: z
            .string()
            .regex(/^[0-9a-f]{8,64}$/, 'expected the id of a snapshot, 8 to 64 hex digits')
            .optional()
            .describe('This very snapshot; the newest that fits by default'),
        }),
      )
      .optional()
      .describe('Where the backups of claims are that are to be restored: namespace/claim to a repository'),
    evidence: z
      .array(
        z
          .string()
          .regex(
            /^(kine|etcd|backup|kubelet|iscsi|git|kubeconfig):./,
            'expected KIND:PATH, where KIND is kine, etcd, backup, kubelet, iscsi, git or kubeconfig',
          ),
      )
      .optional()
      .describe(
        'Further sources of which claim was which LUN, as `recover volumes list --from` takes them: kine:./saved/state.db',
      ),
    restore: z
      .strictObject({
        k0s: path.describe(
          'Archive of `k0s backup` from which the control plane is restored; without it a new cluster begins empty. All volumes must be adopted then',
        ),
      })
      .optional()
      .describe('What is not made anew but restored'),
    checks: z.array(check).optional(),
    tools: z
      .strictObject({
        k0sctl: path.optional(),
        butane: path.optional().describe('Compile with this program instead of the built-in compiler'),
        imageKey: z
          .strictObject({
            file: path.describe('OpenPGP public key, armored'),
            fingerprint: text.optional().describe('Of its primary key, 40 hex digits; Flatcar’s by default'),
          })
          .optional()
          .describe('Key that images and installers are signed with'),
        kustomize: path.optional().describe('kustomize or kubectl, instead of the one on PATH'),
        jobImage: text
          .optional()
          .describe('Image with sh, coreutils and rsync, for the Jobs that hash and copy files'),
        resticImage: text
          .optional()
          .describe('Image with sh, coreutils and restic, for the Jobs that restore backups'),
      })
      .optional(),
    timeouts: z.record(text, duration).optional().describe('Longer limits: step id to a duration'),
  })
  .describe('recover.yaml: what recover cannot read in your other files')

export type ClusterFile = z.infer<typeof clusterFile>
export type HostEntry = z.infer<typeof host>
export type ArtifactEntry = z.infer<typeof artifact>
export type PowerEntry = z.infer<typeof power>

/** JSON Schema for editors. */
export function clusterFileJsonSchema(): object {
  return { $id: 'recover.schema.json', title: 'recover.yaml', ...z.toJSONSchema(clusterFile) }
}
