import { describe } from 'vitest'
import type { Place, Prepared } from './prepare.ts'

const prepared: Prepared = JSON.parse(
  process.env.RECOVER_REAL ??
    '{"missing":"it is started by `npm run test:real`, which makes a place for it"}',
) as Prepared

/** As `describe`, for what needs real machines. Where there can be none, the name of what is skipped says why. */
export function describeReal(title: string, body: () => void): void {
  if ('missing' in prepared) describe.skip(`${title} (skipped: ${prepared.missing})`, body)
  else describe(title, body)
}

/** What was prepared for the tests. */
export function place(): Place {
  if ('missing' in prepared) throw new Error(prepared.missing)
  return prepared
}
