import { showDuration } from '../runbook/duration.ts'
import type { Report } from './report.ts'
import { count, plain } from './text.ts'
import { backWords, outcome, proofWords, stateWords, workedWords } from './words.ts'

const mostVolumes = 5
const mostRemains = 4

/**
 * A run in at most 15 lines, for the terminal at its end: what came back, each volume's proof, time per phase, what
 * remains, where to read the whole. Without colour and without line breaks; what is wrong comes before what is well.
 */
export function summary(report: Report): string[] {
  const lines = [`Run ${report.run} ${stateWords[report.state]}, after ${workedWords(report)} of work`]
  if (report.damage) lines.push(`${report.damage.fault.message}; what lies before it is told here`)
  lines.push(outcome(report).join('. '))
  const worstFirst = ['differs', 'missing', 'same', 'from-backup', 'begins-empty']
  const volumes = [...report.volumes].sort(
    (a, b) => worstFirst.indexOf(a.proof) - worstFirst.indexOf(b.proof),
  )
  for (const v of volumes.slice(0, mostVolumes)) lines.push(`  ${v.claim}: ${backWords(v)}; ${proofWords(v)}`)
  if (volumes.length > mostVolumes) lines.push(`  … and ${volumes.length - mostVolumes} more in the report`)
  const phases = report.phases.filter(p => p.elapsedMs > 0)
  if (phases.length > 0)
    lines.push(`Time: ${phases.map(p => `${p.title} ${showDuration(p.elapsedMs)}`).join(', ')}`)
  if (report.remains.length > 0) {
    const shown = report.remains.slice(0, mostRemains)
    const more = report.remains.length - shown.length
    lines.push('What remains for you:')
    for (const item of shown) lines.push(`  - ${item}`)
    if (more > 0) lines.push(`  … and ${more} more in the report`)
  } else if (report.state === 'finished') lines.push('Nothing remains for you to do')
  const { warnings } = report
  const beware = warnings.length === 0 ? '' : `, with ${count(warnings.length, 'warning')}`
  lines.push(`The whole report${beware}: recover report ${report.run}`)
  return lines.map(line => /^ */.exec(line)?.[0] + plain(line))
}
