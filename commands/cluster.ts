import { writeFileSync } from 'node:fs'
import { Args, Flags } from '@oclif/core'
import { beginInEarnest, planInEarnest } from '../runbooks/begin.ts'
import { reviewRun } from '../runbooks/review.ts'
import { BaseCommand, onlyFlag, phasesOf, runFlags } from '../src/cli/base-command.ts'
import { withSession } from '../src/cli/session.ts'
import { Fault } from '../src/runbook/fault.ts'
import { tellPlan, tellWaiting } from '../src/views/terminal.ts'

export default class Cluster extends BaseCommand {
  static override summary = 'Bring the cluster back from blank disks to healthy applications with their data'
  static override description =
    'Looks at everything first, shows what it would do and destroy, and asks for consent to each disk by its name before anything is changed. It can be stopped or killed at any moment; `recover resume` goes on.'
  static override examples = [
    '<%= config.bin %> cluster --from-scratch --dry-run',
    '<%= config.bin %> cluster --from-scratch',
    '<%= config.bin %> cluster ~/home/recover.yaml --from-scratch --dry-run --save-plan plan.json',
    '<%= config.bin %> cluster --from-scratch --only hosts',
    '<%= config.bin %> cluster --from-scratch --approve 3f2a90c1b7d4e8f6a5b4c3d2e1f00918',
  ]
  static override args = {
    where: Args.string({ description: 'recover.yaml, or the folder that holds it', default: '.' }),
  }
  static override flags = {
    ...runFlags,
    ...onlyFlag,
    'from-scratch': Flags.boolean({
      description: 'Everything: hosts, Kubernetes, bootstrap, volumes, applications',
      required: true,
    }),
    'dry-run': Flags.boolean({ description: 'Only look, and say what would be done; changes nothing' }),
    'save-plan': Flags.string({
      description: 'Write the plan as JSON into this file',
      helpValue: 'FILE',
      dependsOn: ['dry-run'],
    }),
    approve: Flags.string({
      description: 'Agree to exactly this plan by its hash, for runs that nobody watches',
      helpValue: 'HASH',
      exclusive: ['dry-run'],
    }),
  }

  async run() {
    const { args, flags } = await this.parse(Cluster)
    const only = phasesOf(flags.only)
    if (flags['dry-run']) {
      const plan = await planInEarnest(args.where, new AbortController().signal, only, tellWaiting)
      if (flags['save-plan'] !== undefined) keep(flags['save-plan'], `${JSON.stringify(plan, null, 2)}\n`)
      if (!this.jsonEnabled()) tellPlan(plan)
      this.endWithPlan(plan)
      return plan
    }
    const result = await withSession(flags, this.config.version, session =>
      beginInEarnest(args.where, {
        ...session,
        ...(flags.approve === undefined ? {} : { approve: flags.approve }),
        ...(only === undefined ? {} : { only }),
      }),
    )
    this.endWith(result, reviewRun(result.run))
    return result
  }
}

/** It names machines, disks and volumes: only for whoever writes it. */
function keep(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 })
  } catch (cause) {
    throw new Fault({
      code: 'plan-unwritable',
      blame: 'operator',
      message: `cannot write the plan to ${file}; nothing was changed`,
      remedy: 'Name a file that you may write with --save-plan',
      cause,
    })
  }
}
