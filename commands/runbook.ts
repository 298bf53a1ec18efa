import { fromScratch } from '../runbooks/from-scratch.ts'
import { BaseCommand } from '../src/cli/base-command.ts'
import { wallText } from '../src/report/wall.ts'

export default class Runbook extends BaseCommand {
  static override summary =
    'The runbook as text, for the wall: what a person would do if this tool were gone too'
  static override examples = ['<%= config.bin %> runbook', '<%= config.bin %> runbook > recovery.md']

  async run() {
    await this.parse(Runbook)
    const phases = fromScratch.phases.map(p => ({
      title: p.title,
      steps: p.steps.map(s => ({
        id: s.id,
        each: s.each?.name ?? null,
        danger: s.danger,
        expected: s.bounds.expected,
        limit: s.bounds.limit,
        byHand: s.byHand ?? null,
      })),
    }))
    if (!this.jsonEnabled()) this.log(wallText(fromScratch))
    return { runbook: fromScratch.id, phases }
  }
}
