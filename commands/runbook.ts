import { fromScratch } from '../runbooks/from-scratch.ts'
import { BaseCommand } from '../src/cli/base-command.ts'

export default class Runbook extends BaseCommand {
  static override summary = 'The runbook as text, for the wall'
  static override examples = ['<%= config.bin %> runbook', '<%= config.bin %> runbook > recovery.md']

  async run() {
    await this.parse(Runbook)
    const phases = fromScratch.phases.map(p => ({
      title: p.title,
      steps: p.steps.map(s => ({
        id: s.id,
        danger: s.danger,
        expected: s.bounds.expected,
        limit: s.bounds.limit,
      })),
    }))
    if (!this.jsonEnabled())
      for (const [i, phase] of phases.entries()) {
        this.log(`${i + 1}. ${phase.title}`)
        for (const step of phase.steps)
          this.log(
            `   - ${step.id.split('/')[1]?.replaceAll('-', ' ')} (${step.danger}; about ${step.expected}, at most ${step.limit})`,
          )
      }
    return { runbook: fromScratch.id, phases }
  }
}
