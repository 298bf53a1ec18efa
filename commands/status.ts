import { reviewNow } from '../runbooks/review.ts'
import { BaseCommand } from '../src/cli/base-command.ts'
import { exitCodeOf, exitCodes } from '../src/cli/exit-codes.ts'
import { type RunStatus, showStatus } from '../src/report/status.ts'
import { Fault } from '../src/runbook/fault.ts'
import { tell } from '../src/views/terminal.ts'

export default class Status extends BaseCommand {
  static override summary = 'What is going on now, and how to go on'
  static override description =
    'Says who recovers what on this machine, how the newest run stands, which steps were begun and are not done, and what to do next. Changes nothing. Ends with 0 when there is nothing to go on with (no run, finished, or going on), with 3 or 4 when the newest run failed (3: a person must act first), with 130 when it was stopped or interrupted, with 2 when its journal is damaged.'
  static override examples = [
    '<%= config.bin %> status',
    '<%= config.bin %> status --json',
    'watch <%= config.bin %> status',
  ]

  async run() {
    await this.parse(Status)
    const status = reviewNow()
    if (!this.jsonEnabled()) for (const line of showStatus(status, new Date())) tell(`${line}\n`)
    process.exitCode = exitOf(status.runs.at(-1))
    return status
  }
}

/** What the newest run ended with, as far as its journal tells. */
function exitOf(newest: RunStatus | undefined): number {
  switch (newest?.state) {
    case 'failed': {
      const [first] = newest.failures
      const blocked = first !== undefined && exitCodeOf(new Fault(first.fault)) === exitCodes.blocked
      return blocked ? exitCodes.blocked : exitCodes.failed
    }
    case 'stopped':
    case 'interrupted':
      return exitCodes.stopped
    case 'damaged':
      return exitCodes.usage
    default:
      return exitCodes.done
  }
}
