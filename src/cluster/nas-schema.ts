import { z } from 'zod'
import { fingerprint, text } from './schema-texts.ts'

const credentials = text.describe('Name of the secret with username and password')

/** A Synology NAS, known by its certificate; without TLS only by an explicit word, since whoever listens reads the password. */
const synology = z
  .strictObject({
    synology: z.url({ protocol: /^https?$/ }).describe('https://ADDRESS:5001'),
    fingerprint: fingerprint.optional(),
    unencrypted: z
      .literal('accepted')
      .optional()
      .describe('With http:// alone: everybody on the way may read the password. Every run warns of it'),
    credentials,
  })
  .superRefine((nas, context) => {
    const wrong = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    const plain = nas.synology.startsWith('http:')
    if (plain && nas.unencrypted === undefined)
      wrong(
        'synology',
        'expected https://; for http:// write `unencrypted: accepted` beside it, and no fingerprint',
      )
    if (plain && nas.unencrypted !== undefined && nas.fingerprint !== undefined)
      wrong('fingerprint', 'without encryption there is no certificate to compare')
    if (!plain && nas.unencrypted !== undefined)
      wrong('unencrypted', 'the address says https://, which is encrypted')
    if (!plain && nas.fingerprint === undefined) wrong('fingerprint', 'missing')
  })

/** A plain Linux box with tgt, reached by SSH as the machines are. */
const linux = z.strictObject({
  linux: text.describe('Address of a Linux box with tgt'),
  hostKey: z
    .string()
    .regex(/^(ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+$/, 'expected a public host key like ssh-ed25519 AAAA…')
    .describe('Its public host key; nothing is sent to a box with another one'),
  user: text
    .optional()
    .describe('Who may be root there, by sudo without a password or himself; root by default'),
  port: z.int().min(1).max(65535).optional(),
  folder: z
    .string()
    .regex(
      /^(\/[\w.-]+)+$/,
      'expected an absolute path like /srv/luns, of letters, digits, dots, dashes and underscores',
    )
    .describe('Folder on btrfs or xfs with one file NAME.img for each LUN'),
})

/** Where the volumes are. A mistyped key is compared with those of the last, which most people mean. */
export const nas = z.union([linux, synology])
