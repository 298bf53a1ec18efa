import type { Runbook } from '../runbook/runbook.ts'
import type { AnyStep } from '../runbook/step.ts'

/** A runbook as Markdown to print: what each step is there for, how long it takes, and how to do it by hand. */
export function wallText(runbook: Runbook): string {
  const out = [`# ${runbook.title}`, '']
  for (const [i, phase] of runbook.phases.entries()) {
    out.push(`## ${i + 1}. ${phase.title}`, '')
    for (const step of phase.steps) {
      out.push(
        `- [ ] **${titleOf(step)}**${step.danger === 'destroys' ? ' (destroys what is there)' : ''}, about ${step.bounds.expected}.`,
      )
      if (step.byHand !== undefined) out.push(`      ${step.byHand}`)
    }
    out.push('')
  }
  return out.join('\n').trimEnd()
}

/** A step's title for any subject: the fan-out's name stands where a host's or a volume's would. */
function titleOf(step: AnyStep): string {
  if (typeof step.title === 'string') return step.title
  const anyone = `each ${step.each?.name}`
  // Whatever a title says of its subject, it is one of its names.
  return step.title(new Proxy({}, { get: () => anyone }))
}
