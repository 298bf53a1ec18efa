import { z } from 'zod'

/** Any text but none. */
export const text = z.string().min(1)
/** A path as a person writes it. */
export const path = text.describe('Path, relative to this file')
/** A hash. */
export const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in 64 lower-case hex digits')
  .describe('SHA-256 in hex')
/** Of a certificate to which alone anything is sent. */
export const fingerprint = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'expected a fingerprint like sha256:0123… with 64 hex digits')
  .describe('SHA-256 of the certificate; nothing is sent to a server that shows another one')
/** As limits and waits are written. */
export const duration = z.string().regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'expected a duration like 90s or 10m')
