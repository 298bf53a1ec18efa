import { z } from 'zod'

/** What a copy brought, as rsync counted it itself: entries by their kind, and bytes of files. */
export const copiedFiles = z.strictObject({
  files: z.number(),
  folders: z.number(),
  links: z.number(),
  specials: z.number(),
  bytes: z.number(),
})
