import { Command, Flags } from '@oclif/core'
import type { Report } from '../report/report.ts'
import { summary } from '../report/summary.ts'
import type { Execution } from '../runbook/execute.ts'
import type { Plan } from '../runbook/plan.ts'
import { tellLines } from '../views/terminal.ts'
import { exitCodeOfFailures, exitCodes } from './exit-codes.ts'
import { type Thrown, tellError } from './tell-error.ts'

/** What every command shares: `--json`, coded errors, exit codes that do not depend on `--json`. */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true

  /** Ends the command with a run's exit code and its summary, keeping its value for `--json`. */
  protected endWith(execution: Execution, report: Report): void {
    if (!this.jsonEnabled()) tellLines(['', ...summary(report)])
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

  protected override async catch(error: Thrown): Promise<void> {
    tellError(error, {
      command: (this.id ?? '').replaceAll(':', ' '),
      known: Object.keys({ ...this.ctor.flags, ...this.ctor.baseFlags, json: true }).map(flag => `--${flag}`),
      ...(this.jsonEnabled() ? { json: value => this.logJson(value) } : {}),
    })
  }
}

/** Flag of commands that begin a run. */
export const onlyFlag = {
  only: Flags.string({
    description:
      'Only these phases (preflight, evidence, protect, hosts, …) and what they need; what others must have done is looked at, and refused where it is not done',
    helpValue: 'PHASE[,PHASE]',
  }),
}

/** The phases that were typed. */
export function phasesOf(only: string | undefined): string[] | undefined {
  return only?.split(',').map(phase => phase.trim())
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

/** Flags of commands that are about a cluster that is well. */
export const livingClusterFlags = {
  file: Flags.string({
    char: 'f',
    description: 'recover.yaml, or the folder that holds it',
    default: '.',
    helpValue: 'PATH',
  }),
  kubeconfig: Flags.string({
    description: 'The way into the cluster; by default that of the newest finished run on this home',
    helpValue: 'PATH',
  }),
  context: Flags.string({
    description: 'The context in that file; its current one by default',
    helpValue: 'NAME',
  }),
}

/** Flags of every command that looks at hosts. */
export const hostsFlags = {
  file: Flags.string({
    description: 'recover.yaml, or the folder that holds it',
    default: '.',
    helpValue: 'PATH',
  }),
  lab: Flags.boolean({
    description: 'Look at the machines of a lab made from the cluster file; no real machine can be reached',
  }),
}
