import { writeFileSync } from 'node:fs'
import { Args, Flags } from '@oclif/core'
import { reviewRun } from '../runbooks/review.ts'
import { BaseCommand } from '../src/cli/base-command.ts'
import { exitCodes } from '../src/cli/exit-codes.ts'
import { markdown } from '../src/report/markdown.ts'
import { Fault } from '../src/runbook/fault.ts'
import { tell } from '../src/views/terminal.ts'

export default class Report extends BaseCommand {
  static override summary = 'What a run did, with its evidence: as a page to keep, or as JSON'
  static override description =
    'Reads the run’s journal and changes nothing. A run that is going on or was killed is told too, and so is the part of a damaged journal that lies before the damage. Ends with 5 when a volume is proven to differ from what it was, with 2 when the journal is damaged, else with 0.'
  static override examples = [
    '<%= config.bin %> report',
    '<%= config.bin %> report 20261123-021500-ab12 --output recovery.md',
    '<%= config.bin %> report --format json | jq .volumes',
  ]
  static override args = {
    run: Args.string({ description: 'The run; the newest when none is named' }),
  }
  static override flags = {
    format: Flags.option({
      description: 'How to write it',
      options: ['markdown', 'json'] as const,
      default: 'markdown' as const,
    })(),
    output: Flags.string({
      char: 'o',
      description: 'Write it into this file, which is replaced, instead of to stdout',
      helpValue: 'FILE',
    }),
  }

  async run() {
    const { args, flags } = await this.parse(Report)
    const report = reviewRun(args.run)
    const text = flags.format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : markdown(report)
    if (flags.output !== undefined) {
      keep(flags.output, text)
      if (!this.jsonEnabled()) tell(`The report of run ${report.run} is in ${flags.output}\n`)
    } else if (!this.jsonEnabled()) this.log(text.trimEnd())
    if (report.volumes.some(v => v.proof === 'differs')) process.exitCode = exitCodes.verification
    else if (report.damage) process.exitCode = exitCodes.usage
    return report
  }
}

/** It names machines, disks and volumes: only for whoever writes it. */
function keep(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 })
  } catch (cause) {
    throw new Fault({
      code: 'report-unwritable',
      blame: 'operator',
      message: `cannot write the report to ${file}`,
      remedy: 'Name a file that you may write with --output',
      cause,
    })
  }
}
