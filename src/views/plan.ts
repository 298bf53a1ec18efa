import { showDuration } from '../runbook/duration.ts'
import type { Plan, PlanEntry } from '../runbook/plan.ts'
import type { Victim } from '../runbook/step.ts'
import { marks, paint, wrap } from './ink.ts'
import { oneLine } from './live-fit.ts'
import { tableLines } from './table.ts'
import type { Paper } from './view.ts'
import { warningLines } from './warnings.ts'

/** A plan as a person reads it before they agree to anything. */
export function showPlan(plan: Plan, paper: Pick<Paper, 'columns' | 'colour'>): string {
  const ink = paint(paper.colour)
  const out: string[] = []
  for (const phase of plan.phases) {
    out.push(ink.bold(phase.title))
    for (const entry of plan.entries.filter(e => e.phase === phase.id)) {
      out.push(wrap(`  ${mark(entry, ink)} ${oneLine(entry.title)}`, paper.columns, 4))
      for (const detail of details(entry))
        out.push(ink.dim(wrap(`      ${oneLine(detail)}`, paper.columns, 8)))
      if (entry.state === 'done' && entry.table) out.push(...tableLines(entry.table, paper, 6))
    }
  }
  const warnings = plan.entries.flatMap(entry =>
    entry.state === 'done' ? (entry.warnings ?? []).map(warning => ({ title: entry.title, warning })) : [],
  )
  if (warnings.length > 0) out.push('', ...warningLines(warnings, paper))
  if (plan.victims.length > 0) out.push('', showVictims(plan.victims, paper))
  const count = (state: string) => plan.entries.filter(e => e.state === state).length
  out.push(
    '',
    wrap(
      `${count('due')} to do, ${count('unknown')} not known yet, ${count('blocked')} in the way, ${count('done')} done already${warnings.length > 0 ? `, ${warnings.length} to beware of` : ''}; about ${showDuration(plan.expectedMs)}. Plan ${plan.hash}`,
      paper.columns,
      2,
    ),
  )
  return `${out.join('\n')}\n`
}

/** What would be destroyed: what it is, and what is on it now. */
export function showVictims(victims: Victim[], paper: Pick<Paper, 'columns' | 'colour'>): string {
  const ink = paint(paper.colour)
  const out = [ink.red(ink.bold('This would be destroyed:'))]
  for (const victim of victims) {
    out.push(`  ${marks.destroys} ${oneLine(victim.kind)} ${ink.bold(oneLine(victim.name))}`)
    const identity = Object.entries(victim.identity)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
    out.push(wrap(`      ${oneLine(identity)}`, paper.columns, 6))
    out.push(
      wrap(
        `      on it now: ${oneLine(victim.content.join('; ')) || 'nothing that is recognised'}`,
        paper.columns,
        6,
      ),
    )
    for (const remark of victim.remarks ?? []) out.push(wrap(`      ${oneLine(remark)}`, paper.columns, 8))
  }
  return out.join('\n')
}

function mark(entry: PlanEntry, ink: ReturnType<typeof paint>): string {
  if (entry.state === 'done') return ink.green(marks.done)
  if (entry.state === 'blocked') return ink.red(marks.blocked)
  if (entry.state === 'unknown') return ink.dim(marks.unknown)
  return entry.danger === 'destroys' ? ink.red(marks.destroys) : ink.yellow(marks.due)
}

function details(entry: PlanEntry): string[] {
  switch (entry.state) {
    case 'done':
      return [entry.evidence]
    case 'due':
      return entry.changes
    case 'blocked':
      return [`${entry.fault.message} [${entry.fault.code}]`, `What to do: ${entry.fault.remedy}`]
    case 'unknown':
      return [`not known until ${entry.until}`]
  }
}
