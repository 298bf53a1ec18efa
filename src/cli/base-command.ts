import { Command, Flags } from '@oclif/core'
import type { Report } from '../report/report.ts'
import { summary } from '../report/summary.ts'
import type { Execution } from '../runbook/execute.ts'
import { Fault, toFault } from '../runbook/fault.ts'
import type { Plan } from '../runbook/plan.ts'
import { tell } from '../views/terminal.ts'
import { exitCodeOf, exitCodeOfFailures, exitCodes } from './exit-codes.ts'

/** What every command shares: `--json`, coded errors, exit codes that do not depend on `--json`. */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true

  /** Ends the command with a run's exit code and its summary, keeping its value for `--json`. */
  protected endWith(execution: Execution, report: Report): void {
    if (!this.jsonEnabled()) tell(`\n${summary(report).join('\n')}\n`)
    if (execution.state === 'finished') return
    process.exitCode =
      execution.state === 'stopped'
        ? exitCodes.stopped
        : exitCodeOfFailures(execution.failures.map(f => f.fault))
  }

  /** Ends the command as a plan's state demands: something in the way is worth an exit code of its own. */
  protected endWithPlan(plan: Plan): void {
    if (plan.entries.some(e => e.state === 'blocked')) process.exitCode = exitCodes.blocked
  }

  protected override async catch(error: Error & { oclif?: { exit?: number } }): Promise<void> {
    const usage = error.oclif?.exit !== undefined
    const fault = usage ? undefined : toFault(error, this.id ?? 'recover')
    const code = fault ? exitCodeOf(fault) : exitCodes.usage
    process.exitCode = code
    if (this.jsonEnabled())
      this.logJson({
        error: fault?.toJSON() ?? {
          code: 'usage',
          blame: 'operator',
          message: error.message,
          remedy: `See recover ${this.id} --help`,
        },
        exit: code,
      })
    else if (fault) tell(`\nError: ${fault.message} [${fault.code}]\nWhat to do: ${fault.remedy}\n`)
    else tell(`\nError: ${error.message}\nWhat to do: see recover ${this.id} --help\n`)
    if (fault?.code === 'bug' && error instanceof Error && !(error instanceof Fault)) tell(`${error.stack}\n`)
  }
}

/** Flags of every command that carries out a runbook. */
export const runFlags = {
  'json-into': Flags.string({
    description: 'Write every event as a line of JSON into this file, beside the view',
    helpValue: 'FILE',
  }),
  plain: Flags.boolean({ description: 'Write lines instead of drawing over them' }),
  'lock-timeout': Flags.string({
    description: 'How long to wait for another operator’s lock',
    default: '0s',
    helpValue: '10m',
  }),
}
