import { describe } from 'vitest'
import { controlPlane, lacking, type Part, type Program } from './parts.ts'

/** As `describe`, for what needs a real control plane and perhaps more. The name of what is skipped says why. */
export function describeKube(
  title: string,
  needs: { parts?: Part[]; programs?: Program[] },
  body: () => void,
): void {
  const lack = lacking([...controlPlane, ...(needs.parts ?? [])], needs.programs)
  if (lack === undefined) describe(title, body)
  else describe.skip(`${title} (skipped: ${lack})`, body)
}
