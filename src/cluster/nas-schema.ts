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

/** Where the volumes are. */
export const nas = synology
